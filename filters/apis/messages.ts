import { ANTHROPIC, FREE, openApi, WRITES } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** Anthropic's messages. */
export function addMessages(): void {
  const api = openApi(WRITES, ANTHROPIC);
  api.maximum = ',"max_tokens":';
  api.end =
    'event: content_block_stop\ndata: {"type":"content_block_stop","index":%i}\n\nevent: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":%c}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n';
  addNames(api.request, "a messages:q thinking:c stream:s max_tokens:m c budget_tokens:t");
  addNames(
    api.answer,
    "a content:d stop_reason:F message:f delta:d index:I type:Y f usage:e d signature:Z id:Z role:Z stop_sequence:Z stop_reason:F type:Z n model_context_window_exceeded:l refusal:c tool_use:t stop_sequence:s max_tokens:l end_turn:s o error:E message_stop:D",
  );
  addPaths(api, "messages");
  addPaths(openApi(FREE, ANTHROPIC), "messages/count_tokens");
}
