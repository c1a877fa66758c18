// There are two builds of most decisions, because what only some routes ask for
// would cost every request bytes and instructions. These two constants are the
// only difference; tools/compile-filter.js sets them for each module that is in
// tools/filter-modules.js. The compiler leaves out what stands under a false one.

/**
 * What weir-full.wasm and token-limit.wasm have and weir.wasm lacks: limits on
 * requests in flight, over the fleet and under overload, pins, conversations,
 * certificates as identity, callers refused for who they are, arrival and diversion of shadow traffic.
 */
export const EXTENDED: bool = false;
/** Ranges of addresses as tenants: weir-full.wasm alone. */
export const RANGES: bool = false;
