export {
  fairnessHeader,
  modeHeader,
  noteClaimed,
  objectiveHeader,
  removeClaimed,
  removeSchedulerClaims,
  tagHeader,
  tenantHeader,
  tierHeader,
  variantHeader,
} from "./claims";
export {
  nameFilter,
  proxy_on_configure,
  proxy_on_delete,
  proxy_on_request_trailers,
  proxy_on_response_trailers,
  proxy_on_tick,
  TICK_MS,
} from "./lifecycle";
export { openRequest } from "./request";
