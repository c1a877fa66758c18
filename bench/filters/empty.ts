// A filter that does nothing: what the host takes for calling one at all.
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../../filters/sdk/memory";

export function proxy_on_request_headers(_context: u32, _count: u32, _end: u32): i32 {
  return 0;
}
