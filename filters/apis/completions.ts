import { openChoices } from "./chat";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** OpenAI's completions, and llama.cpp's own, which take a prompt rather than messages. */
export function addCompletions(): void {
  const api = openChoices();
  api.end =
    '%{data: {%h"choices":[{"index":%i,"text":"","finish_reason":"length"}]%n}\n\n%}%[data: {%h"choices":[],"usage":{"prompt_tokens":%p,"completion_tokens":%c,"total_tokens":%t}}\n\n%]data: [DONE]\n\n';
  addNames(api.request, "a prompt_embeds:p prompt:p");
  addNames(api.answer, "c text:X");
  addPaths(api, "completions");
}
