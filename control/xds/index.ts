export { type BootstrapOptions, bootstrap } from "./bootstrap.ts";
export { createFleet, type Fleet } from "./fleet.ts";
export { withoutRemovals } from "./removal.ts";
export { buildResources, type ResourceOptions, reportClusterName } from "./resources/index.ts";
export type { Address } from "./resources/options.ts";
export { createXdsServer, type ScopeOf, type XdsLog, type XdsServer } from "./serve.ts";
export { createSnapshot, type Snapshot } from "./snapshot.ts";
export { resourceTypes, type TypeName } from "./types.ts";
