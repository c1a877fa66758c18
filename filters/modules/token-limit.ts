import { registerMember, TOKEN_LIMIT } from "../document";
import { writeCellCounters, writeCellHistograms } from "../measure";
import { nameFilter, onDelete, onRequestTrailers } from "../plugin";
import { alsoReport, electUnder } from "../report";
import { isLiteral, literal, readProperty, resetArena, STOP_ITERATION, write } from "../sdk";
import { endStream } from "../token-limit/answer/end-stream";
import { onResponse, onResponseBody } from "../token-limit/answer/response";
import { bindTokenLimit, parseTokenLimit } from "../token-limit/config";
import { beginDenial, denyBody, finishDenial, isDenied } from "../token-limit/prompt/body-refusal";
import { onRequestBody, owesBytes } from "../token-limit/prompt/prompt";
import { onRequest } from "../token-limit/prompt/request";
import { dropStream, findStream } from "../token-limit/stream";
import { mergeWaits } from "../token-limit/waits";

export {
  proxy_abi_version_0_2_1,
  proxy_on_configure,
  proxy_on_memory_allocate,
  proxy_on_response_trailers,
  proxy_on_tick,
} from "./callbacks";

nameFilter("token-limit");
electUnder(literal("weir.reporter.token-limit"));
alsoReport(mergeWaits, writeCellCounters, writeMembers);
registerMember(TOKEN_LIMIT, parseTokenLimit, bindTokenLimit);

function writeMembers(): void {
  write(',"filter":"token-limit"');
  writeCellHistograms();
}

export function proxy_on_request_headers(context: u32, _count: u32, endOfStream: u32): i32 {
  return onRequest(context, endOfStream != 0);
}

export function proxy_on_request_body(context: u32, bytes: u32, endOfStream: u32): i32 {
  return onRequestBody(context, bytes, endOfStream != 0);
}

/** Trailers end a body without telling its callback; one that is not whole by then never will be. */
export function proxy_on_request_trailers(context: u32, count: u32): i32 {
  const stream = findStream(context);
  if (stream === null || !stream.readsPrompt) return onRequestTrailers(context, count);
  resetArena();
  beginDenial();
  if (owesBytes(stream) || (stream.limited && !stream.isRead && stream.seenBytes > 0)) denyBody();
  if (!isDenied()) return onRequestTrailers(context, count);
  finishDenial(stream);
  return STOP_ITERATION;
}

export function proxy_on_response_headers(context: u32, _count: u32, endOfStream: u32): i32 {
  return onResponse(context, endOfStream != 0);
}

export function proxy_on_response_body(context: u32, bytes: u32, endOfStream: u32): i32 {
  return onResponseBody(context, bytes, endOfStream != 0);
}

const codeDetails = literal("response\0code_details");

/** Envoy's word for why a stream ended before its time begins so where the pod broke off. */
function isBrokenOff(): bool {
  const bytes: usize = 9; // "upstream_"
  const details = readProperty(codeDetails);
  return details !== null && details.bytes >= bytes && isLiteral("upstream_", details.ptr, bytes);
}

/** Roots and streams end here; a stream that did not come to its end was left or broken off. */
export function proxy_on_delete(context: u32): void {
  const stream = findStream(context);
  if (stream === null) {
    onDelete(context);
    return;
  }
  resetArena();
  if (!stream.ended) endStream(stream, isBrokenOff());
  dropStream(context);
}
