export type { DriftPolicy } from "./apply.ts";
export { type Controller, type ControllerOptions, createController } from "./controller.ts";
export { customResources } from "./crd.ts";
export { type ClusterOptions, openController } from "./open.ts";
export { renderedKinds } from "./resources.ts";
