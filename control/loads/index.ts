export { createPodLoads, type PodLoads } from "./ask.ts";
export { createKnownLoads, type KnownLoads } from "./known.ts";
export { type PodLoad, readLoad } from "./read.ts";
export type { SeenLoads } from "./seen.ts";
export { byTraffic, saturation } from "./told.ts";
