import { openApi, WRITES } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** The completions of llama.cpp's server in its own words. */
export function addLlama(): void {
  const api = openApi(WRITES);
  api.maximum = ',"n_predict":';
  addNames(api.request, "a stream:s prompt:p n_predict:m");
  addNames(
    api.answer,
    "a tokens_evaluated:0 tokens_predicted:1 stop:D stop_type:F content:X n limit:l word:s eos:s",
  );
  addPaths(api, "completion infill");
}
