import { nameFilter, onDelete, onTick, openRequest, TICK_MS } from "../plugin";
import { onPressureTick } from "../pressure";
import {
  endStream,
  onStreamsTick,
  readAnswer,
  readLeases,
  reportNeeds,
} from "../rate-limit/streams";
import { CONTINUE, resetArena } from "../sdk";
import { decide } from "./decide";
import { registerAll } from "./members";

// What weir.wasm does, and what only some routes ask for: limits on requests in
// flight. It is a module of its own, so that all others do not pay for it.
export {
  proxy_abi_version_0_2_1,
  proxy_on_configure,
  proxy_on_memory_allocate,
  proxy_on_request_trailers,
  proxy_on_response_trailers,
} from "./callbacks";

nameFilter("full");
registerAll();
reportNeeds();

export function proxy_on_request_headers(context: u32, _count: u32, endOfStream: u32): i32 {
  return decide(openRequest(), endOfStream != 0, context);
}

export function proxy_on_tick(root: u32): void {
  onTick(root);
  onPressureTick(root, <u64>TICK_MS * 1000000);
  onStreamsTick();
}

/** What the pods say of themselves, for routes that listen. */
export function proxy_on_response_headers(context: u32, _count: u32, _endOfStream: u32): i32 {
  resetArena();
  readAnswer(context);
  return CONTINUE;
}

/** What the control service answered to a report. */
export function proxy_on_http_call_response(
  _root: u32,
  _token: u32,
  headers: u32,
  bytes: u32,
  _trailers: u32,
): void {
  resetArena();
  if (headers > 0) readLeases(bytes);
}

/** The last a stream is heard of, however it ended. */
export function proxy_on_delete(context: u32): void {
  endStream(context);
  onDelete(context);
}
