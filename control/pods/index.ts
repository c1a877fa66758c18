export type { PodBehaviour } from "./completion.ts";
export { type Pod, startPod } from "./pod.ts";
