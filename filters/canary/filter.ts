import { bucketOf } from "../format/xxh64";
import { findKey, findTenant, isCallerIn, keyBytes, keyPtr } from "../identity";
import { variantHeader } from "../plugin";
import {
  findHeader,
  isText,
  literal,
  nowNs,
  REQUEST_HEADERS,
  setHeader,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { BUCKETS, bucketOfKey, variantOfBucket } from "./choice";
import { CanaryPolicy, Pin, variantIndex, variantMetric, variantName } from "./config";
import { conversation, keepVariant, keptVariant } from "./conversations";

const requestId = literal("x-request-id");
const clock: usize = memory.data(8, 8);

/** Chooses the request's variant and writes it. */
export function applyCanary(policy: CanaryPolicy): void {
  writeVariant(policy, chooseVariant(policy));
}

/** Writes the variant that was chosen. */
export function writeVariant(policy: CanaryPolicy, index: i32): void {
  variantMetric(policy, index).pending++;
  const name = variantName(policy, index);
  setHeader(REQUEST_HEADERS, variantHeader, textPtr(name), textBytes(name));
}

/**
 * Who may force a variant gets it; then a pin holds, then the conversation's
 * beginning, then the buckets.
 */
export function chooseVariant(policy: CanaryPolicy): i32 {
  const forced = forcedVariant(policy);
  if (forced >= 0) return forced;
  if (FULL && policy.pins != 0) {
    const pinned = pinnedVariant(policy);
    if (pinned >= 0) return pinned;
  }
  if (FULL && policy.conversationHeader != 0) return conversationVariant(policy);
  return variantOfBucket(policy.runs, policy.runCount, bucketOfRequest(policy));
}

function bucketOfRequest(policy: CanaryPolicy): u32 {
  return findKey(policy.stickyBy)
    ? bucketOfKey(keyPtr, keyBytes, policy.seed)
    : randomBucket(policy);
}

/** The variant of the caller's pin; -1 when the caller has none. */
function pinnedVariant(policy: CanaryPolicy): i32 {
  if (findTenant(policy.identity))
    for (let at = policy.pins; at != 0; at = changetype<Pin>(at).next)
      if (at != policy.others && isText(changetype<Pin>(at).tenant, keyPtr, keyBytes))
        return changetype<Pin>(at).variant;
  return policy.others == 0 ? -1 : changetype<Pin>(policy.others).variant;
}

/** A conversation stays where it began; a new one goes where the buckets say now. */
function conversationVariant(policy: CanaryPolicy): i32 {
  const kept = keptVariant(policy);
  if (kept >= 0) return kept;
  const chosen = variantOfBucket(policy.runs, policy.runCount, bucketOfRequest(policy));
  return conversation == 0 ? chosen : keepVariant(policy, chosen);
}

/** The variant a named tenant asks for; -1 when no one may or does. */
function forcedVariant(policy: CanaryPolicy): i32 {
  if (policy.forceHeader == 0) return -1;
  const row = findHeader(policy.forceHeader);
  if (row == 0 || !isCallerIn(policy.forceFrom, policy.identity)) return -1;
  return variantIndex(policy, valuePtr(row), valueBytes(row));
}

/** No key: a conversation is its own; else Envoy's request id is random, and the clock is the last resort. */
function randomBucket(policy: CanaryPolicy): u32 {
  if (FULL && policy.conversationHeader != 0 && conversation != 0)
    return bucketOf(conversation, BUCKETS);
  const row = findHeader(requestId);
  if (row != 0) return bucketOfKey(valuePtr(row), valueBytes(row), policy.seed);
  store<u64>(clock, nowNs());
  return bucketOfKey(clock, 8, policy.seed);
}
