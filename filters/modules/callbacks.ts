import { onConfigure, onDelete, onRequestTrailers, onResponseTrailers, onTick } from "../plugin";

// What Envoy calls in a module that decides over request headers alone. A module
// that does more exports its own instead of one of them.
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../sdk";
export {
  onConfigure as proxy_on_configure,
  onDelete as proxy_on_delete,
  onRequestTrailers as proxy_on_request_trailers,
  onResponseTrailers as proxy_on_response_trailers,
  onTick as proxy_on_tick,
};
