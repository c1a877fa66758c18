// The host calls Weir uses, as Envoy provides them in module "env" (Proxy-Wasm
// ABI 0.2.1). Every function returns a status of ./status. Names are the ABI's.
export declare function proxy_log(level: i32, message: usize, messageBytes: usize): i32;
export declare function proxy_get_current_time_nanoseconds(out: usize): i32;
export declare function proxy_set_tick_period_milliseconds(periodMs: u32): i32;
export declare function proxy_get_property(
  path: usize,
  pathBytes: usize,
  outPtr: usize,
  outBytes: usize,
): i32;
export declare function proxy_get_buffer_bytes(
  type: i32,
  start: usize,
  maxBytes: usize,
  outPtr: usize,
  outBytes: usize,
): i32;
export declare function proxy_set_buffer_bytes(
  type: i32,
  start: usize,
  bytes: usize,
  value: usize,
  valueBytes: usize,
): i32;
export declare function proxy_get_header_map_pairs(map: i32, outPtr: usize, outBytes: usize): i32;
export declare function proxy_replace_header_map_value(
  map: i32,
  key: usize,
  keyBytes: usize,
  value: usize,
  valueBytes: usize,
): i32;
export declare function proxy_remove_header_map_value(map: i32, key: usize, keyBytes: usize): i32;
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
export declare function proxy_get_shared_data(
  key: usize,
  keyBytes: usize,
  outPtr: usize,
  outBytes: usize,
  outCas: usize,
): i32;
export declare function proxy_set_shared_data(
  key: usize,
  keyBytes: usize,
  value: usize,
  valueBytes: usize,
  cas: u32,
): i32;
export declare function proxy_define_metric(
  type: i32,
  name: usize,
  nameBytes: usize,
  outId: usize,
): i32;
export declare function proxy_increment_metric(id: u32, offset: i64): i32;
export declare function proxy_record_metric(id: u32, value: u64): i32;
export declare function proxy_get_metric(id: u32, outValue: usize): i32;
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
