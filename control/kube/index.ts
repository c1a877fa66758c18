export {
  createKubeClient,
  type KubeClient,
  type WatchEvent,
  type WriteOptions,
} from "./client.ts";
export { type ClusterConfig, loadClusterConfig } from "./config.ts";
export { isTransient, type KubeCause, KubeError, KubeUnreachableError } from "./errors.ts";
export { type Follower, follow, pause } from "./follow.ts";
export {
  collectionPath,
  type KubeMetadata,
  type KubeObject,
  type ManagedFields,
  objectPath,
  type Resource,
} from "./objects.ts";
