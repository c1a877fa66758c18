import { nameFilter, openRequest } from "../plugin";
import { decide } from "./decide";
import { registerAll } from "./members";

export {
  proxy_on_configure,
  proxy_on_delete,
  proxy_on_request_trailers,
  proxy_on_response_trailers,
  proxy_on_tick,
} from "../plugin";
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../sdk";

nameFilter("all");
registerAll();

export function proxy_on_request_headers(context: u32, _count: u32, endOfStream: u32): i32 {
  return decide(openRequest(), endOfStream != 0, context);
}
