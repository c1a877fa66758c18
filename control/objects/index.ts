export { fullObjectName, objectNamespace } from "./names.ts";
export { type KubernetesObject, objectsOf, readObjects } from "./read.ts";
