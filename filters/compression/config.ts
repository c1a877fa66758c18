import { Route } from "../document";
import { BROTLI, GZIP, ZSTD } from "../format/accept-encoding";
import {
  failJson,
  jsonFailure,
  member,
  nextElement,
  nextMember,
  openArray,
  openObject,
  readString,
  stringBytes,
  stringPtr,
  unknownField,
} from "../format/json";
import { countedBy } from "../report";
import { isLiteral, Metric, Region } from "../sdk";

/** Message CompressionPolicy. */
@unmanaged
export class CompressionPolicy {
  /** One byte per algorithm, in order of preference: GZIP, BROTLI or ZSTD. */
  algorithms: u32;
  algorithmCount: i32;
  /** Compress answers to requests with cookies as well. */
  allowSecrets: bool;
  allowed: Metric;
  denied: Metric;
}

export function parseCompression(region: Region): usize {
  const policy = changetype<CompressionPolicy>(region.alloc(offsetof<CompressionPolicy>()));
  openObject();
  while (nextMember()) {
    if (member("algorithms")) readAlgorithms(policy);
    else if (member("secrets")) readSecrets(policy);
    else unknownField();
  }
  if (jsonFailure.length == 0 && policy.algorithmCount == 0) failJson("has no algorithms");
  return changetype<usize>(policy);
}

function readAlgorithms(policy: CompressionPolicy): void {
  let seen: u32 = 0;
  openArray();
  while (nextElement()) {
    if (!readString()) return;
    const bit: u32 = isLiteral("gzip", stringPtr, stringBytes)
      ? GZIP
      : isLiteral("br", stringPtr, stringBytes)
        ? BROTLI
        : isLiteral("zstd", stringPtr, stringBytes)
          ? ZSTD
          : 0;
    if (bit == 0) failJson("must be one of zstd, br and gzip");
    else if (seen & bit) failJson("is named twice");
    else {
      store<u8>(changetype<usize>(policy) + <usize>policy.algorithmCount, <u8>bit);
      policy.algorithmCount++;
    }
    seen |= bit;
  }
}

function readSecrets(policy: CompressionPolicy): void {
  if (!readString()) return;
  policy.allowSecrets = isLiteral("allow", stringPtr, stringBytes);
  if (!policy.allowSecrets && !isLiteral("never", stringPtr, stringBytes))
    failJson("must be never or allow");
}

export function bindCompression(at: usize, route: Route): void {
  const policy = changetype<CompressionPolicy>(at);
  policy.allowed = countedBy("compression_allowed", route.name, "", 0);
  policy.denied = countedBy("compression_denied", route.name, "", 0);
}
