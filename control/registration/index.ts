export { type AddressRange, createAddressCheck, parseRange } from "./address.ts";
export type { Entry } from "./entry.ts";
export { RefusedError } from "./refusal.ts";
export { createRegistry, type Registry, sweepMs } from "./registry.ts";
