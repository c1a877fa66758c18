import { Api, FREE, openApi, UNKNOWN_CALL } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** Calls of the servers' own that run no model, or of which only requests count. */
export function addServerCalls(): void {
  // KServe's open inference protocol has tensors where others have text.
  addPaths(
    openApi(FREE),
    "tokenize detokenize apply-template render cancel infer load_lora_adapter unload_lora_adapter",
  );
  const invocations = openUnknown();
  invocations.needsPrompt = true;
  invocations.maximum = ',"max_tokens":';
  addNames(invocations.request, "a max_completion_tokens:m max_tokens:m");
  addPaths(invocations, "invocations");
}

/**
 * A call of which nothing is known: its text is read, maxima by whatever name are
 * lowered, and usage by whatever name is charged.
 */
export function openUnknown(): Api {
  const api = openApi(UNKNOWN_CALL);
  api.takesForms = true;
  addNames(
    api.request,
    "a sampling_params:d parameters:d options:d max_new_tokens:m max_output_tokens:m messages:q input_ids:p inputs:p text:p prompts:p prompt:p input:q stream:s d num_predict:m max_new_tokens:m max_tokens:m best_of:n n:n",
  );
  addNames(
    api.answer,
    "a eval_count:1 prompt_eval_count:0 meta_info:e choices:b type:Y c finish_reason:F text:X message:d delta:d n content_filter:c tool_calls:t length:l stop:s o error:E message_stop:D response.completed:D",
  );
  return api;
}
