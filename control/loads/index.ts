export { createPodLoads, type PodLoads } from "./ask.ts";
export { createKnownLoads, type KnownLoads } from "./known.ts";
export { families, type PodLoad, readLoad } from "./read.ts";
export { createSeenLoads, type SeenLoads } from "./seen.ts";
export { byTraffic, createToldLoads, saturation, type ToldLoads } from "./told.ts";
