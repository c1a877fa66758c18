export { createKubeClient, type KubeClient, type WatchEvent } from "./client.ts";
export { loadClusterConfig } from "./config.ts";
export { isTransient, KubeError, KubeUnreachableError } from "./errors.ts";
export { follow, pause } from "./follow.ts";
export { collectionPath, type KubeObject, objectPath, type Resource } from "./objects.ts";
