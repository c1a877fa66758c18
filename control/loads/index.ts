export { byTraffic, saturation } from "./announced.ts";
export { createPodLoads, type PodLoads } from "./ask.ts";
export { createKnownLoads, type KnownLoads } from "./known.ts";
export type { ObservedLoads } from "./observed.ts";
export { type PodLoad, readLoad } from "./read.ts";
