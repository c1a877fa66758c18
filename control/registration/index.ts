export { type AddressRange, createAddressCheck, parseRange } from "./address.ts";
export type { Entry } from "./entry.ts";
export { RefusedError } from "./refusal.ts";
export { type Caller, createRegistry, type Registry, sweepMs } from "./registry.ts";
export { withPods } from "./with-pods.ts";
