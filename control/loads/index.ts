export { type AnnouncedLoads, byTraffic, createAnnouncedLoads, saturation } from "./announced.ts";
export { createPodLoads, type PodLoads } from "./ask.ts";
export { createKnownLoads, type KnownLoads } from "./known.ts";
export { createObservedLoads, type ObservedLoads } from "./observed.ts";
export { families, type PodLoad, readLoad } from "./read.ts";
