export { type KubernetesObject, objectsOf, readObjects } from "./read.ts";
