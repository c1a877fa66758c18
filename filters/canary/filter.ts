import { findKey, isCallerIn, keyBytes, keyPtr } from "../identity";
import { variantHeader } from "../plugin";
import {
  findHeader,
  literal,
  nowNs,
  REQUEST_HEADERS,
  setHeader,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { bucketOfKey, variantOfBucket } from "./choice";
import { CanaryPolicy, variantIndex, variantMetric, variantName } from "./config";

const requestId = literal("x-request-id");
const clock: usize = memory.data(8, 8);

/** Chooses the request's variant and writes it. */
export function applyCanary(policy: CanaryPolicy): void {
  const index = chooseVariant(policy);
  variantMetric(policy, index).pending++;
  const name = variantName(policy, index);
  setHeader(REQUEST_HEADERS, variantHeader, textPtr(name), textBytes(name));
}

function chooseVariant(policy: CanaryPolicy): i32 {
  const forced = forcedVariant(policy);
  if (forced >= 0) return forced;
  const bucket = findKey(policy.stickyBy)
    ? bucketOfKey(keyPtr, keyBytes, policy.seed)
    : randomBucket(policy);
  return variantOfBucket(policy.runs, policy.runCount, bucket);
}

/** The variant a named tenant asks for; -1 when no one may or does. */
function forcedVariant(policy: CanaryPolicy): i32 {
  if (policy.forceHeader == 0) return -1;
  const row = findHeader(policy.forceHeader);
  if (row < 0 || !isCallerIn(policy.forceFrom, policy.identity)) return -1;
  return variantIndex(policy, valuePtr(row), valueBytes(row));
}

/** No key: Envoy's request id is random, and the clock is the last resort. */
function randomBucket(policy: CanaryPolicy): u32 {
  const row = findHeader(requestId);
  if (row >= 0) return bucketOfKey(valuePtr(row), valueBytes(row), policy.seed);
  store<u64>(clock, nowNs());
  return bucketOfKey(clock, 8, policy.seed);
}
