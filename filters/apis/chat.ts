import { Api, openApi, WRITES } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** What chat completions and completions have in common, in requests and answers. */
export function openChoices(): Api {
  const api = openApi(WRITES);
  api.asksUsage = true;
  api.maximum = ',"max_tokens":';
  api.headLevel = 1;
  api.headEnd = 0x62;
  addNames(api.request, "a min_tokens:l stream_options:b stream:s max_tokens:m b include_usage:u");
  addNames(
    api.answer,
    "a choices:b c finish_reason:F message:d delta:d d data:Z id:Z type:Z role:Z n eos_token:s stop_sequence:s function_call:f content_filter:c tool_calls:t length:l stop:s",
  );
  return api;
}

/** OpenAI's chat completions. */
export function addChat(): void {
  const api = openChoices();
  api.end =
    '%{data: {%h"choices":[{"index":%i,"delta":{},"finish_reason":"length"}]%n}\n\n%}%[data: {%h"choices":[],"usage":{"prompt_tokens":%p,"completion_tokens":%c,"total_tokens":%t}}\n\n%]data: [DONE]\n\n';
  addNames(api.request, "a messages:q max_completion_tokens:m");
  addPaths(api, "chat/completions");
}
