export { type Controller, type ControllerOptions, createController } from "./controller.ts";
export { customResources } from "./crd.ts";
export { type ClusterOptions, openController } from "./open.ts";
