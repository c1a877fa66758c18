// A filter that only makes the host calls no canary filter can do without: one
// read of all headers, one header write. The floor for weir.wasm.
import { proxy_get_header_map_pairs, proxy_replace_header_map_value } from "../../filters/sdk/env";
import { outPtr, outSize, resetArena } from "../../filters/sdk/memory";

export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../../filters/sdk/memory";

const name: usize = memory.data<u8>([
  0x78, 0x2d, 0x77, 0x65, 0x69, 0x72, 0x2d, 0x76, 0x61, 0x72, 0x69, 0x61, 0x6e, 0x74,
]); // x-weir-variant
const value: usize = memory.data<u8>([0x73, 0x74, 0x61, 0x62, 0x6c, 0x65]); // stable

export function proxy_on_request_headers(_context: u32, _count: u32, _end: u32): i32 {
  resetArena();
  proxy_get_header_map_pairs(0, outPtr, outSize);
  proxy_replace_header_map_value(0, name, 14, value, 6);
  return 0;
}
