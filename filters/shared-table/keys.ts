// All keys that Weir's modules have in the shared data of a proxy. Modules whose
// records differ have different keys: they may run in one proxy at the same time.
//
//   "weir.b", a set        buckets of requests           rate-limit/bucket, weir.wasm
//   "weir.f", a set        the same with fleet shares    rate-limit/bucket, weir-full.wasm
//   "weir.t", a set        buckets of tokens             token-limit/budget
//   "weir.c", a set        conversations                 canary/conversations
//   "weir.o", a route      saturation of its pods        rate-limit/overload
//   "weir.n"               demand for fleet shares       rate-limit/fleet/demand
//   "weir.m", a place      a series of measurements      measure/shared-cells
//   "weir.cells"           which series has which place  measure/shared-cells
//   "weir.epoch"           when the proxy began          report/election
//   "weir.reporter..."     who reports for all workers   report/election
export const BUCKETS: u8 = 0x62; // b
export const FLEET_BUCKETS: u8 = 0x66; // f
export const TOKENS: u8 = 0x74; // t
export const CONVERSATIONS: u8 = 0x63; // c
export const OVERLOAD: u8 = 0x6f; // o
export const DEMAND: u8 = 0x6e; // n
export const SERIES: u8 = 0x6d; // m

const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // "weir."
const LETTER: usize = 5;
const NUMBER: usize = 6;

/** Sizes of keys: without a number, with one of 16 bits, with one of 64. */
export const PLAIN_KEY: usize = 6;
export const NUMBERED_KEY: usize = 8;
export const HASHED_KEY: usize = 14;

/** A key by its letter; the next call of these takes its place. */
export function plainKey(letter: u8): usize {
  store<u8>(key + LETTER, letter);
  return key;
}

/** The key of a set or a place. */
export function numberedKey(letter: u8, number: u16): usize {
  store<u16>(key + NUMBER, number);
  return plainKey(letter);
}

/** The key of what has a hash for a name. */
export function hashedKey(letter: u8, hash: u64): usize {
  store<u64>(key + NUMBER, hash);
  return plainKey(letter);
}
