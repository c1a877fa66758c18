export { createKubeStore, type KubeStore, type KubeStoreOptions } from "./kube-store.ts";
export { allRoutesPath, routePath, routeResource } from "./names.ts";
