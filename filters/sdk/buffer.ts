import { proxy_get_buffer_bytes, proxy_set_buffer_bytes } from "./env";
import { found, foundBytes, foundPtr, resetFound, Span } from "./span";
import { OK } from "./status";

// Buffers of the ABI.
/** What the client sends. */
export const REQUEST_BODY: i32 = 0;
/** What the pod answers. */
export const RESPONSE_BODY: i32 = 1;
const CALL_BODY: i32 = 4;
const PLUGIN_CONFIGURATION: i32 = 7;

// What these return is there until the host returns other bytes; null where it has
// no such buffer, or the buffer is beyond every bound.

/** Reads the configuration of the root context that is being configured. */
export function readConfiguration(bytes: usize): Span | null {
  return readBuffer(PLUGIN_CONFIGURATION, bytes);
}

/** Reads the piece of a body that a callback is about: REQUEST_BODY or RESPONSE_BODY. */
export function readBody(body: i32, bytes: usize): Span | null {
  return readBuffer(body, bytes);
}

/** Reads bytes of the body that a callback is about from a place on. */
export function readBodyFrom(body: i32, from: usize, bytes: usize): Span | null {
  return readBuffer(body, bytes, from);
}

/** Reads the body of an answer to a call of this filter's own. */
export function readCallBody(bytes: usize): Span | null {
  return readBuffer(CALL_BODY, bytes);
}

function readBuffer(type: i32, bytes: usize, from: usize = 0): Span | null {
  resetFound();
  const ok = bytes == 0 || proxy_get_buffer_bytes(type, from, bytes, foundPtr, foundBytes) == OK;
  return ok ? found : null;
}

/** Puts other bytes in place of the piece a callback is about. */
export function replaceBody(body: i32, had: usize, ptr: usize, bytes: usize): bool {
  return proxy_set_buffer_bytes(body, 0, had, ptr, bytes) == OK;
}
