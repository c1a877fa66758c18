export { readBackup, readContents, writeBackup } from "./backup.ts";
export type { Contents } from "./contents.ts";
export { defaultStore } from "./default.ts";
export {
  allRoutesPath,
  createKubeStore,
  type KubeStore,
  type KubeStoreOptions,
  routePath,
  stateAnnotation,
} from "./kube/index.ts";
export { type OpenOptions, openStore } from "./open.ts";
export {
  type Author,
  FencedError,
  NotStoredError,
  type RolloutEvent,
  type RolloutWrite,
  type RouteEvent,
  StaleEtagError,
  type Store,
  StoreRefusedError,
  StoreUnavailableError,
  WatchBehindError,
} from "./store.ts";
