import { registerMember, SELECT } from "../document";
import { nameFilter, onDelete, onRequestTrailers } from "../plugin";
import { CONTINUE } from "../sdk";
import { bindSelect, parseSelect } from "../select/policy";
import { onSelect, onSelectBody, onSelectEnd, onSelectTrailers } from "../select/request";

export {
  proxy_abi_version_0_2_1,
  proxy_on_configure,
  proxy_on_memory_allocate,
  proxy_on_response_trailers,
  proxy_on_tick,
} from "./callbacks";

nameFilter("route-select");
registerMember(SELECT, parseSelect, bindSelect);

export function proxy_on_request_headers(context: u32, _count: u32, endOfStream: u32): i32 {
  return onSelect(context, endOfStream != 0);
}

export function proxy_on_request_body(context: u32, bytes: u32, endOfStream: u32): i32 {
  return onSelectBody(context, bytes, endOfStream != 0);
}

export function proxy_on_request_trailers(context: u32, count: u32): i32 {
  const result = onSelectTrailers(context);
  return result == CONTINUE ? onRequestTrailers(context, count) : result;
}

export function proxy_on_delete(context: u32): void {
  onSelectEnd(context);
  onDelete(context);
}
