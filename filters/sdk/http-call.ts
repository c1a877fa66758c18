import { proxy_get_buffer_bytes, proxy_http_call } from "./env";
import { outPtr, outSize } from "./memory";
import { OK } from "./status";
import { Text, textBytes, textPtr } from "./text";

const CALL_BODY: i32 = 4;

/** Headers of the answer to a call. */
export const CALL_HEADERS: i32 = 6;

/** Where the answer's body stands, until the callback ends. */
export let callBodyPtr: usize = 0;

/** Its length in bytes. */
export let callBodyBytes: usize = 0;

/** Reads the answer's body; false when the host has none. */
export function readCallBody(bytes: usize): bool {
  store<u32>(outSize, 0);
  if (proxy_get_buffer_bytes(CALL_BODY, 0, bytes, outPtr, outSize) != OK) return false;
  callBodyPtr = load<u32>(outPtr);
  callBodyBytes = load<u32>(outSize);
  return callBodyBytes > 0;
}

/** Sends a request to a cluster without waiting for the answer; false when the cluster does not exist. */
export function httpCall(
  cluster: Text,
  headers: usize,
  headersBytes: usize,
  body: usize,
  bodyBytes: usize,
  timeoutMs: u32,
): bool {
  return (
    proxy_http_call(
      textPtr(cluster),
      textBytes(cluster),
      headers,
      headersBytes,
      body,
      bodyBytes,
      0,
      0,
      timeoutMs,
      outPtr,
    ) == OK
  );
}
