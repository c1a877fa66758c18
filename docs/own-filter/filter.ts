// Refuses requests with a body below a path unless they say that it is JSON. Its configuration is
// the path alone, for example /v1/.
import {
  addToMetric,
  beginPair,
  beginPairs,
  beginText,
  CONTINUE,
  COUNTER,
  copyText,
  defineMetric,
  endPair,
  findHeader,
  literal,
  logError,
  NO_METRIC,
  REQUEST_HEADERS,
  Region,
  readConfiguration,
  readHeaders,
  reply,
  resetArena,
  STOP_ITERATION,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
  write,
  written,
  writtenBytes,
} from "../../filters/sdk";

// What Envoy calls in every module, beside the two callbacks below.
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../../filters/sdk";

const path = literal(":path");
const contentType = literal("content-type");
const json = literal("application/json");
const details = literal("not_json");
const counterName = literal("own_filter_refused_total");
const body = literal('{"title":"the body has to be application/json","status":415}\n');

/** The path and the memory that it lies in. A VM has one: give a second plug-in another vm_id. */
let below: Text = 0;
let region: usize = 0;
let refused: u32 = NO_METRIC;

/** A new configuration: 1 takes it, 0 refuses it and leaves what ran before. */
export function proxy_on_configure(_root: u32, bytes: u32): i32 {
  resetArena();
  const text = readConfiguration(bytes);
  if (text === null || text.bytes == 0 || load<u8>(text.ptr) != 0x2f) {
    beginText();
    write("own-filter: the configuration has to be a path that begins with /");
    logError();
    return 0;
  }
  const next = Region.create();
  below = copyText(next, text.ptr, text.bytes);
  if (region != 0) changetype<Region>(region).free();
  region = changetype<usize>(next);
  // Once for each VM: the host keeps every definition.
  if (refused == NO_METRIC)
    refused = defineMetric(COUNTER, textPtr(counterName), textBytes(counterName));
  return 1;
}

export function proxy_on_request_headers(_context: u32, _count: u32, endOfStream: u32): i32 {
  resetArena();
  if (endOfStream != 0 || below == 0 || !readHeaders(REQUEST_HEADERS)) return CONTINUE;
  if (!begins(path, below, false) || begins(contentType, json, true)) return CONTINUE;
  if (refused != NO_METRIC) addToMetric(refused, 1);
  beginPairs(1);
  beginPair(0, "content-type");
  write("application/problem+json");
  endPair(0);
  reply(415, details, written(), writtenBytes(), textPtr(body), textBytes(body), -1);
  return STOP_ITERATION;
}

/** Whether a header begins with a text; the text is in lower case where case does not matter. */
function begins(name: Text, text: Text, anyCase: bool): bool {
  const row = findHeader(name);
  if (row == 0 || valueBytes(row) < textBytes(text)) return false;
  for (let i: usize = 0; i < textBytes(text); i++) {
    const byte = load<u8>(valuePtr(row) + i);
    const folded = anyCase && byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded != load<u8>(textPtr(text) + i)) return false;
  }
  return true;
}
