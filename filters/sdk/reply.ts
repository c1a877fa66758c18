import { proxy_send_local_response } from "./env";
import { Text, textBytes, textPtr } from "./text";

/**
 * Answers the request here and now. The host does it after the callback has
 * returned STOP_ITERATION; call it at most once per stream.
 *
 * @param grpcStatus for gRPC requests; -1 otherwise
 */
export function reply(
  status: i32,
  details: Text,
  headers: usize,
  headersBytes: usize,
  body: usize,
  bodyBytes: usize,
  grpcStatus: i32,
): void {
  proxy_send_local_response(
    status,
    textPtr(details),
    textBytes(details),
    body,
    bodyBytes,
    headers,
    headersBytes,
    grpcStatus,
  );
}
