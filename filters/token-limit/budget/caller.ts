import { valueOfName } from "../../format/name-table";
import { xxh64 } from "../../format/xxh64";
import { findTenant, keyBytes, keyPtr } from "../../identity";
import { Cell, cellOf, cellOfTenant } from "../../measure";
import { variantHeader } from "../../plugin";
import {
  findHeader,
  isText,
  literal,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../../sdk";
import { MEASURED, TokenLimitPolicy } from "../config";
import { Tier } from "../tier";
import { MAX_DEBT_NS, SHARED_DEBT_NS } from "./budget";

/** Tier of the caller found last, and the bucket's name. */
export let callerTier: usize = 0;
export let callerBucket: u64 = 0;
/** How far that bucket may go into debt. */
export let callerDebtNs: u64 = 0;
/** Whether the caller found last is a tenant that is measured by itself: the key found is its name. */
let isMeasured: bool = false;

/** Whether the request is shadow traffic. */
export let isShadow: bool = false;

/** Who pays for shadow traffic: a name that no header can carry, for a comma ends a value. */
const shadowTenant = literal(",shadow");
/** Name of the unknown as the limit on requests has it. */
const anonymous = literal("\0");
const yes = literal("true");

/** Finds the caller's tier and bucket; the unknown share those of the default tier. */
export function findCaller(policy: TokenLimitPolicy): void {
  callerTier = policy.defaultTier;
  callerBucket = policy.seed;
  callerDebtNs = SHARED_DEBT_NS;
  isShadow = policy.shadows && isMarked(policy.shadowHeader);
  isMeasured = false;
  if (isShadow) findTier(policy, textPtr(shadowTenant), textBytes(shadowTenant));
  else if (policy.identity != 0 && findTenant(policy.identity))
    isMeasured = findTier(policy, keyPtr, keyBytes);
}

/** Whether the name is one of those that are measured by themselves. */
function findTier(policy: TokenLimitPolicy, name: usize, bytes: usize): bool {
  const tier = valueOfName(policy.tenants, name, bytes);
  if (tier == 0) return false;
  callerTier = tier & ~MEASURED;
  callerBucket = xxh64(name, bytes, policy.seed);
  callerDebtNs = MAX_DEBT_NS;
  return (tier & MEASURED) != 0;
}

/** Name of the caller's bucket of requests, which weir.wasm keeps. */
export function bucketOfRequests(policy: TokenLimitPolicy): u64 {
  return callerBucket == policy.seed
    ? xxh64(textPtr(anonymous), textBytes(anonymous), policy.seed)
    : callerBucket;
}

/** Whether the header, which no client can set, marks the request; where there is none all are marked. */
function isMarked(header: Text): bool {
  if (header == 0) return true;
  const row = findHeader(header);
  return row != 0 && isText(yes, valuePtr(row), valueBytes(row));
}

/** Where what is seen of a request that is being read is counted. */
export function cellOfRequest(policy: TokenLimitPolicy, tier: usize): Cell {
  const variant = variantOfRequest(policy);
  const tierNumber = tier == 0 ? 0 : changetype<Tier>(tier).number;
  const slot = policy.cells + ((<usize>(variant * (policy.tierCount + 1) + tierNumber)) << 2);
  if (load<usize>(slot) == 0) {
    const tierName: Text = tier == 0 ? 0 : changetype<Tier>(tier).name;
    const cell = cellOf(policy.route, nameOfVariant(policy, variant), tierName);
    store<usize>(slot, changetype<usize>(cell));
  }
  return changetype<Cell>(load<usize>(slot));
}

/** Where a part of it is counted once more for the caller alone, or 0; call it right after findCaller. */
export function cellOfCaller(policy: TokenLimitPolicy): usize {
  if (!isMeasured) return 0;
  const variant = variantOfRequest(policy);
  if (variant == 0) return 0;
  return cellOfTenant(policy.route, nameOfVariant(policy, variant), keyPtr, keyBytes);
}

function nameOfVariant(policy: TokenLimitPolicy, variant: i32): Text {
  return variant == 0 ? 0 : load<usize>(policy.variants + ((<usize>variant - 1) << 2));
}

/** Number of the variant the canary chose, from 1; the only one where there is no choice; 0 where it is not known. */
function variantOfRequest(policy: TokenLimitPolicy): i32 {
  if (policy.variantCount == 1) return 1;
  const row = findHeader(variantHeader);
  if (row == 0) return 0;
  for (let i = 0; i < policy.variantCount; i++)
    if (isText(load<usize>(policy.variants + ((<usize>i) << 2)), valuePtr(row), valueBytes(row)))
      return i + 1;
  return 0;
}
