import { Api, OLLAMA, openApi, READS, WRITES } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** Ollama's own API: lines of JSON, and a maximum among the options. */
export function addOllama(): void {
  const chat = openLines();
  chat.headEnd = 0x64;
  chat.end =
    '{%h"message":{"role":"assistant","content":""},"done":true,"done_reason":"length","prompt_eval_count":%p,"eval_count":%c}\n';
  addNames(chat.request, "a messages:q");
  addNames(chat.answer, "a message:d d role:Z");
  addPaths(chat, "api/chat");

  const generate = openLines();
  generate.headEnd = 0x58;
  generate.end =
    '{%h"response":"","done":true,"done_reason":"length","prompt_eval_count":%p,"eval_count":%c}\n';
  addNames(generate.answer, "a thinking:X response:X");
  addPaths(generate, "api/generate");

  const embed = openApi(READS, OLLAMA);
  addNames(embed.request, "a input:q");
  addNames(embed.answer, "a prompt_eval_count:0");
  addPaths(embed, "api/embed api/embeddings");
}

function openLines(): Api {
  const api = openApi(WRITES, OLLAMA);
  api.isLines = true;
  api.maximum = ',"options":{"num_predict":';
  api.afterMaximum = "}";
  api.innerMaximum = '"num_predict":';
  api.headLevel = 1;
  addNames(api.request, "a options:d d num_predict:m");
  addNames(api.answer, "a eval_count:1 prompt_eval_count:0 done_reason:F done:D n length:l stop:s");
  return api;
}
