// The host calls Weir uses, as Envoy provides them in module "env" (Proxy-Wasm
// ABI 0.2.1). Every function returns a status of ./status. Names are the ABI's.
/** Logs a message at a level of the ABI: 3 is a warning, 4 an error. */
export declare function proxy_log(level: i32, message: usize, messageBytes: usize): i32;

/** Writes the wall-clock time, in nanoseconds since 1970, as u64 to out. */
export declare function proxy_get_current_time_nanoseconds(out: usize): i32;

/** Sets how often proxy_on_tick of the current root context is called, in milliseconds; 0 stops it. */
export declare function proxy_set_tick_period_milliseconds(periodMs: u32): i32;

/** Reads a property by its NUL-separated path; writes where the value is and its length. */
export declare function proxy_get_property(
  path: usize,
  pathBytes: usize,
  outPtr: usize,
  outBytes: usize,
): i32;

/** Reads a piece of a buffer of the ABI (a body, a configuration); writes where the piece is and its length. */
export declare function proxy_get_buffer_bytes(
  type: i32,
  start: usize,
  maxBytes: usize,
  outPtr: usize,
  outBytes: usize,
): i32;

/** Puts a value in place of a piece of a buffer. */
export declare function proxy_set_buffer_bytes(
  type: i32,
  start: usize,
  bytes: usize,
  value: usize,
  valueBytes: usize,
): i32;

/** Reads a whole header map; writes where the pairs are and their length. See ./headers for the layout. */
export declare function proxy_get_header_map_pairs(map: i32, outPtr: usize, outBytes: usize): i32;

/** Sets a header to a value; of a repeated header only the first is replaced. */
export declare function proxy_replace_header_map_value(
  map: i32,
  key: usize,
  keyBytes: usize,
  value: usize,
  valueBytes: usize,
): i32;

/** Removes all values of a header. */
export declare function proxy_remove_header_map_value(map: i32, key: usize, keyBytes: usize): i32;

/** Answers the request; grpcStatus is -1 for requests that are not gRPC. */
export declare function proxy_send_local_response(
  code: i32,
  details: usize,
  detailsBytes: usize,
  body: usize,
  bodyBytes: usize,
  headers: usize,
  headersBytes: usize,
  grpcStatus: i32,
): i32;

/** Reads a key of shared data; writes where the value is, its length and its compare-and-set number. */
export declare function proxy_get_shared_data(
  key: usize,
  keyBytes: usize,
  outPtr: usize,
  outBytes: usize,
  outCas: usize,
): i32;

/** Writes a key of shared data if its compare-and-set number is still the given one; 0 always writes. */
export declare function proxy_set_shared_data(
  key: usize,
  keyBytes: usize,
  value: usize,
  valueBytes: usize,
  cas: u32,
): i32;

/** Defines a metric of a name; writes its id. */
export declare function proxy_define_metric(
  type: i32,
  name: usize,
  nameBytes: usize,
  outId: usize,
): i32;

/** Adds to a counter or a gauge. */
export declare function proxy_increment_metric(id: u32, offset: i64): i32;

/** Sets a gauge. */
export declare function proxy_record_metric(id: u32, value: u64): i32;

/** Reads a metric; writes its value as u64. */
export declare function proxy_get_metric(id: u32, outValue: usize): i32;

/**
 * Sends a request to a cluster; the answer comes to proxy_on_http_call_response with the token.
 * timeoutMs is in milliseconds.
 */
export declare function proxy_http_call(
  cluster: usize,
  clusterBytes: usize,
  headers: usize,
  headersBytes: usize,
  body: usize,
  bodyBytes: usize,
  trailers: usize,
  trailersBytes: usize,
  timeoutMs: u32,
  outToken: usize,
): i32;
