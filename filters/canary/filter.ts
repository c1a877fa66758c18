import { bucketOf } from "../format/xxh64";
import { findKey, findTenant, isCallerIn } from "../identity";
import { variantHeader } from "../plugin";
import {
  EXTENDED,
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
import { conversationOf, keepVariant, keptVariant } from "./conversations";

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
  if (EXTENDED && policy.pins != 0) {
    const pinned = pinnedVariant(policy);
    if (pinned >= 0) return pinned;
  }
  if (EXTENDED && policy.conversationHeader != 0) return conversationVariant(policy);
  return variantOfBucket(policy.runs, policy.runCount, bucketOfRequest(policy, 0));
}

function bucketOfRequest(policy: CanaryPolicy, conversation: u64): u32 {
  const key = findKey(policy.stickyBy);
  return key === null
    ? randomBucket(policy, conversation)
    : bucketOfKey(key.ptr, key.bytes, policy.seed);
}

/** The variant of the caller's pin; -1 when the caller has none. */
function pinnedVariant(policy: CanaryPolicy): i32 {
  const name = findTenant(policy.identity);
  if (name !== null)
    for (let at = policy.pins; at != 0; at = changetype<Pin>(at).next)
      if (at != policy.defaultPin && isText(changetype<Pin>(at).tenant, name.ptr, name.bytes))
        return changetype<Pin>(at).variant;
  return policy.defaultPin == 0 ? -1 : changetype<Pin>(policy.defaultPin).variant;
}

/** A conversation stays where it began; a new one goes where the buckets say now. */
function conversationVariant(policy: CanaryPolicy): i32 {
  const conversation = conversationOf(policy);
  const kept = conversation == 0 ? -1 : keptVariant(policy, conversation);
  if (kept >= 0) return kept;
  const bucket = bucketOfRequest(policy, conversation);
  const chosen = variantOfBucket(policy.runs, policy.runCount, bucket);
  return conversation == 0 ? chosen : keepVariant(policy, conversation, chosen);
}

/** The variant a named tenant asks for; -1 when no one may or does. */
function forcedVariant(policy: CanaryPolicy): i32 {
  if (policy.forceHeader == 0) return -1;
  const row = findHeader(policy.forceHeader);
  if (row == 0 || !isCallerIn(policy.forceFrom, policy.identity)) return -1;
  return variantIndex(policy, valuePtr(row), valueBytes(row));
}

/** No key: a conversation is its own; else Envoy's request id is random, and the clock is the last resort. */
function randomBucket(policy: CanaryPolicy, conversation: u64): u32 {
  if (EXTENDED && conversation != 0) return bucketOf(conversation, BUCKETS);
  const row = findHeader(requestId);
  if (row != 0) return bucketOfKey(valuePtr(row), valueBytes(row), policy.seed);
  store<u64>(clock, nowNs());
  return bucketOfKey(clock, 8, policy.seed);
}
