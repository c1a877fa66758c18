import { openApi, WRITES } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** OpenAI's responses. */
export function addResponses(): void {
  const api = openApi(WRITES);
  api.maximum = ',"max_output_tokens":';
  api.headLevel = 6;
  api.headEnd = 0x48;
  api.end =
    'event: response.incomplete\ndata: {"type":"response.incomplete","sequence_number":%s,"response":{%h"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[],"usage":{"input_tokens":%p,"output_tokens":%c,"total_tokens":%t}}}\n\n';
  addNames(api.request, "a background:k input:q max_output_tokens:m stream:s");
  addNames(
    api.answer,
    "a incomplete_details:i status:V output:d response:f delta:d sequence_number:Q type:Y d status:Z role:Z id:Z type:Z f model:H created_at:H object:H usage:e error:h incomplete_details:i status:V i reason:G m cancelled:o failed:E incomplete:l completed:s n content_filter:c max_output_tokens:l o error:E response.failed:E response.incomplete:D response.completed:D",
  );
  addPaths(api, "responses");
}
