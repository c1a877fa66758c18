import { FLAT, openApi } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** Sound and pictures, in forms or JSON. */
export function addMedia(): void {
  const api = openApi(FLAT);
  api.takesForms = true;
  addNames(api.request, "a stream:s");
  addNames(api.answer, "a delta:d text:X type:Y o error:E transcript.text.done:D");
  addPaths(
    api,
    "transcriptions translations audio/speech images/generations images/edits images/variations",
  );
}
