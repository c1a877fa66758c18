// A filter that changes nothing and tells what it is given: each callback is sent
// as one HTTP call, in order, to the cluster "truth". One stands in front of the
// filter that is recorded and one behind it. Its configuration is the call's path.
//
//   u64 time | u32 context | u8 kind | u8 end of stream | header pairs or bytes of a body
import {
  proxy_get_buffer_bytes,
  proxy_get_current_time_nanoseconds,
  proxy_get_header_map_pairs,
  proxy_http_call,
  proxy_set_tick_period_milliseconds,
} from "../../../../filters/sdk/env";

const REQUEST_HEADERS: u8 = 0;
const REQUEST_BODY: u8 = 1;
const REQUEST_TRAILERS: u8 = 2;
const RESPONSE_HEADERS: u8 = 3;
const RESPONSE_BODY: u8 = 4;
const RESPONSE_TRAILERS: u8 = 5;
const END: u8 = 6;
const TICK: u8 = 7;
const CONFIGURATION: i32 = 7;
const CONTINUE: i32 = 0;

const HEAD: usize = 14;
const MOST: usize = 1 << 20;
/** The event being told; what the host gives comes to lie behind its head. */
const event: usize = memory.data(1048576, 8);
const out: usize = memory.data(16, 8);
const cluster: usize = memory.data<u8>([0x74, 0x72, 0x75, 0x74, 0x68]); // truth
/** Three pairs: ":method" POST, ":authority" truth and ":path", whose value follows. */
const headers: usize = memory.data(256, 8);
const names: usize = memory.data<u8>([
  0x3a, 0x6d, 0x65, 0x74, 0x68, 0x6f, 0x64, 0, 0x50, 0x4f, 0x53, 0x54, 0, 0x3a, 0x61, 0x75, 0x74,
  0x68, 0x6f, 0x72, 0x69, 0x74, 0x79, 0, 0x74, 0x72, 0x75, 0x74, 0x68, 0, 0x3a, 0x70, 0x61, 0x74,
  0x68, 0,
]);
const NAMES: usize = 36;
const SIZES: usize = 28;
let headersBytes: usize = 0;
let given: usize = 0;
let root: u32 = 0;

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(bytes: u32): usize {
  if (HEAD + given + <usize>bytes > MOST) return 0;
  const at = event + HEAD + given;
  given += bytes;
  return at;
}

export function proxy_on_configure(context: u32, bytes: u32): i32 {
  given = 0;
  root = context;
  if (bytes > 100 || proxy_get_buffer_bytes(CONFIGURATION, 0, bytes, out, out + 4) != 0) return 0;
  store<u32>(headers, 3);
  store<u32>(headers, 7, 4);
  store<u32>(headers, 4, 8);
  store<u32>(headers, 10, 12);
  store<u32>(headers, 5, 16);
  store<u32>(headers, 5, 20);
  store<u32>(headers, bytes, 24);
  memory.copy(headers + SIZES, names, NAMES);
  memory.copy(headers + SIZES + NAMES, load<u32>(out), bytes);
  store<u8>(headers + SIZES + NAMES + bytes, 0);
  headersBytes = SIZES + NAMES + bytes + 1;
  proxy_set_tick_period_milliseconds(1000);
  return 1;
}

function tell(kind: u8, context: u32, end: bool): i32 {
  proxy_get_current_time_nanoseconds(out);
  store<u64>(event, load<u64>(out));
  store<u32>(event, context, 8);
  store<u8>(event, kind, 12);
  store<u8>(event, end ? 1 : 0, 13);
  proxy_http_call(cluster, 5, headers, headersBytes, event, HEAD + given, 0, 0, 10000, out);
  return CONTINUE;
}

function tellHeaders(kind: u8, context: u32, map: i32, end: bool): i32 {
  given = 0;
  proxy_get_header_map_pairs(map, out, out + 4);
  return tell(kind, context, end);
}

function tellBody(kind: u8, context: u32, type: i32, bytes: u32, end: bool): i32 {
  given = 0;
  if (bytes > 0) proxy_get_buffer_bytes(type, 0, bytes, out, out + 4);
  return tell(kind, context, end);
}

export function proxy_on_request_headers(context: u32, _count: u32, end: u32): i32 {
  return tellHeaders(REQUEST_HEADERS, context, 0, end != 0);
}

export function proxy_on_request_body(context: u32, bytes: u32, end: u32): i32 {
  return tellBody(REQUEST_BODY, context, 0, bytes, end != 0);
}

export function proxy_on_request_trailers(context: u32, _count: u32): i32 {
  return tellHeaders(REQUEST_TRAILERS, context, 1, true);
}

export function proxy_on_response_headers(context: u32, _count: u32, end: u32): i32 {
  return tellHeaders(RESPONSE_HEADERS, context, 2, end != 0);
}

export function proxy_on_response_body(context: u32, bytes: u32, end: u32): i32 {
  return tellBody(RESPONSE_BODY, context, 1, bytes, end != 0);
}

export function proxy_on_response_trailers(context: u32, _count: u32): i32 {
  return tellHeaders(RESPONSE_TRAILERS, context, 3, true);
}

/** Filters tick as often, and begin to at the same time. */
export function proxy_on_tick(context: u32): void {
  given = 0;
  tell(TICK, context, false);
}

/** Root contexts end as well, when there is no one left to tell. */
export function proxy_on_delete(context: u32): void {
  given = 0;
  if (context != root) tell(END, context, true);
}
