export { type BootstrapOptions, bootstrap } from "./bootstrap.ts";
export { createFleet, type Fleet, type Member } from "./fleet.ts";
export { withoutRemovals } from "./keep-removed-clusters.ts";
export { gatewaySecrets } from "./resources/gateway-tls.ts";
export {
  buildResources,
  type FilterCode,
  type ResourceOptions,
  registeredResources,
  reportClusterName,
} from "./resources/index.ts";
export type { Address, EdgeOptions, RegisteredPods } from "./resources/options.ts";
export { createXdsServer } from "./serve.ts";
export type { XdsServer } from "./server.ts";
export type { Refusal } from "./shown.ts";
export { createSnapshot, type Snapshot, withEndpoints } from "./snapshot.ts";
export { type ResourceType, resourceTypes, type TypeName } from "./types.ts";
