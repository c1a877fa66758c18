import { Route } from "../document";
import { BROTLI, GZIP, ZSTD } from "../format/accept-encoding";
import {
  failJson,
  hasFailed,
  isString,
  member,
  nextElement,
  nextMember,
  openArray,
  openObject,
  readBool,
  readString,
  unknownField,
} from "../format/json";
import { readMatches } from "../match";
import { Counter, countedBy } from "../report";
import { EXTENDED, Region } from "../sdk";

/** When answers to requests are compressed that carry what a browser adds by itself. */
const NEVER: u32 = 0;
export const SAME_ORIGIN: u32 = 1;
export const ALLOW: u32 = 2;

/** Message CompressionPolicy. */
@unmanaged
export class CompressionPolicy {
  /** One byte per algorithm, in order of preference: GZIP, BROTLI or ZSTD; 0 ends them. */
  algorithms: u32;
  secrets: u32;
  /** Links of Exception, in order. */
  exceptions: usize;
  /** No compression while the pods or the worker are saturated. */
  brownout: bool;
  allowed: Counter;
  denied: Counter;
}

/** Message CompressionException. */
@unmanaged
export class Exception {
  next: usize;
  match: usize;
  /** As in CompressionPolicy. */
  algorithms: u32;
}

export function parseCompression(region: Region): usize {
  const policy = changetype<CompressionPolicy>(region.alloc(offsetof<CompressionPolicy>()));
  openObject();
  while (nextMember()) {
    if (member("algorithms")) policy.algorithms = readAlgorithms();
    else if (member("secrets")) policy.secrets = readSecrets();
    else if (EXTENDED && member("brownout")) policy.brownout = readBool();
    else if (EXTENDED && member("exceptions")) policy.exceptions = readExceptions(region);
    else unknownField();
  }
  if (!hasFailed() && policy.algorithms == 0) failJson("has no algorithms");
  return changetype<usize>(policy);
}

function readExceptions(region: Region): usize {
  let first: usize = 0;
  let last: usize = 0;
  openArray();
  while (nextElement()) {
    const at = region.alloc(offsetof<Exception>());
    const exception = changetype<Exception>(at);
    openObject();
    while (nextMember()) {
      if (member("match")) exception.match = readMatches(region);
      else if (member("algorithms")) exception.algorithms = readAlgorithms();
      else unknownField();
    }
    if (!hasFailed() && exception.match == 0) failJson("has no match");
    if (first == 0) first = at;
    else changetype<Exception>(last).next = at;
    last = at;
  }
  return first;
}

function readAlgorithms(): u32 {
  let algorithms: u32 = 0;
  let shift: u32 = 0;
  openArray();
  while (nextElement()) {
    if (!readString()) return 0;
    const bit: u32 = isString("gzip")
      ? GZIP
      : isString("br")
        ? BROTLI
        : isString("zstd")
          ? ZSTD
          : 0;
    if (bit == 0) failJson("must be one of zstd, br and gzip");
    else if (has(algorithms, bit)) failJson("is named twice");
    else {
      algorithms |= bit << shift;
      shift += 8;
    }
  }
  return algorithms;
}

function has(algorithms: u32, bit: u32): bool {
  for (; algorithms != 0; algorithms >>= 8) if ((algorithms & 255) == bit) return true;
  return false;
}

function readSecrets(): u32 {
  if (!readString()) return NEVER;
  if (isString("allow")) return ALLOW;
  if (isString("same-origin")) return SAME_ORIGIN;
  if (!isString("never")) failJson("must be never, same-origin or allow");
  return NEVER;
}

export function bindCompression(at: usize, route: Route): void {
  const policy = changetype<CompressionPolicy>(at);
  policy.allowed = countedBy("compression_allowed", route, "", 0);
  policy.denied = countedBy("compression_denied", route, "", 0);
}
