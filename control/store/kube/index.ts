export { createKubeStore, type KubeStore, type KubeStoreOptions } from "./kube-store.ts";
export { allRoutesPath, routePath, stateAnnotation } from "./names.ts";
