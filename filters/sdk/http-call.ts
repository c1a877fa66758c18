import { proxy_http_call } from "./env";
import { outPtr } from "./memory";
import { OK } from "./status";
import { Text, textBytes, textPtr } from "./text";

/** Headers of the answer to a call. */
export const CALL_HEADERS: i32 = 6;

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
