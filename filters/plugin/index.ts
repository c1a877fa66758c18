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
  onConfigure,
  onDelete,
  onRequestTrailers,
  onResponseTrailers,
  onTick,
  TICK_MS,
} from "./lifecycle";
export { openHost, openRequest, routeHeader } from "./request";
