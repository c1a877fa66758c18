import { proxy_get_buffer_bytes, proxy_set_buffer_bytes } from "./env";
import { ptrOf, Span, sizeOf } from "./span";
import { OK } from "./status";

// Buffers of the ABI.
/** What the client sends. */
export const REQUEST_BODY: i32 = 0;
/** What the pod answers. */
export const RESPONSE_BODY: i32 = 1;
const CALL_BODY: i32 = 4;
const PLUGIN_CONFIGURATION: i32 = 7;

/** The configuration read last, until the callback ends. */
export const configuration = changetype<Span>(memory.data(8, 8));
/** The piece of a body read last, until the callback ends. */
export const body = changetype<Span>(memory.data(8, 8));
/** The body of an answer to a call of this filter's own, until the callback ends. */
export const callBody = changetype<Span>(memory.data(8, 8));

/** Reads the configuration of the root context that is being configured. */
export function readConfiguration(bytes: usize): bool {
  return readBuffer(PLUGIN_CONFIGURATION, bytes, configuration);
}

/** Reads the piece of a body that a callback is about; false when the host has none or it is beyond every bound. */
export function readBody(buffer: i32, bytes: usize): bool {
  return readBuffer(buffer, bytes, body);
}

/** Reads the answer's body; false when the host has none. */
export function readCallBody(bytes: usize): bool {
  return readBuffer(CALL_BODY, bytes, callBody) && callBody.bytes > 0;
}

function readBuffer(buffer: i32, bytes: usize, into: Span): bool {
  into.ptr = 0;
  const size = sizeOf(into);
  return bytes == 0 || proxy_get_buffer_bytes(buffer, 0, bytes, ptrOf(into), size) == OK;
}

/** Puts other bytes in place of the piece a callback is about. */
export function replaceBody(buffer: i32, had: usize, ptr: usize, bytes: usize): bool {
  return proxy_set_buffer_bytes(buffer, 0, had, ptr, bytes) == OK;
}
