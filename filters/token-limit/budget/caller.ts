import { valueOfName } from "../../format/name-table";
import { xxh64 } from "../../format/xxh64";
import { findTenant, shadowTenant, unknownTenant } from "../../identity";
import { Cell, cellOf, cellOfTenant } from "../../measure";
import { variantHeader } from "../../plugin";
import {
  findHeader,
  isText,
  literal,
  Span,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../../sdk";
import { MEASURED, TokenLimitPolicy } from "../config";
import { Tier } from "../tier";
import { MAX_DEBT_NS, SHARED_DEBT_NS } from "./budget";

/** Who makes a request, as far as its tokens are concerned. */
@unmanaged
export class Caller {
  tier: Tier | null;
  /** Name of the bucket, and how far it may go into debt. */
  bucket: u64;
  maxDebtNs: u64;
  /** Its name, until the next key is looked for; only where there is one. */
  name: Span;
  /** Whether it is a tenant that is measured by itself. */
  isMeasured: bool;
  /** Whether the request is shadow traffic. */
  isShadow: bool;
}

const yes = literal("true");

/** Finds the caller's tier and bucket; unknown tenants share those of the default tier. */
export function findCaller(policy: TokenLimitPolicy, into: Caller): void {
  into.tier = policy.defaultTier;
  into.bucket = policy.seed;
  into.maxDebtNs = SHARED_DEBT_NS;
  into.isShadow = policy.shadows && isMarked(policy.shadowHeader);
  into.isMeasured = false;
  if (into.isShadow) findTier(policy, textPtr(shadowTenant), textBytes(shadowTenant), into);
  else {
    const name: Span | null = policy.identity == 0 ? null : findTenant(policy.identity);
    if (name === null) return;
    into.name = name;
    into.isMeasured = findTier(policy, name.ptr, name.bytes, into);
  }
}

/** Whether the name is one of those that are measured by themselves. */
function findTier(policy: TokenLimitPolicy, name: usize, bytes: usize, into: Caller): bool {
  const tier = valueOfName(policy.tenants, name, bytes);
  if (tier == 0) return false;
  into.tier = changetype<Tier>(tier & ~MEASURED);
  into.bucket = xxh64(name, bytes, policy.seed);
  into.maxDebtNs = MAX_DEBT_NS;
  return (tier & MEASURED) != 0;
}

/** Name of the caller's bucket of requests, which weir.wasm keeps. */
export function bucketOfRequests(policy: TokenLimitPolicy, caller: Caller): u64 {
  return caller.bucket == policy.seed
    ? xxh64(textPtr(unknownTenant), textBytes(unknownTenant), policy.seed)
    : caller.bucket;
}

/** Whether the header, which no client can set, marks the request; where there is none all are marked. */
function isMarked(header: Text): bool {
  if (header == 0) return true;
  const row = findHeader(header);
  return row != 0 && isText(yes, valuePtr(row), valueBytes(row));
}

/** Where what is seen of a request that is being read is counted. */
export function cellOfRequest(policy: TokenLimitPolicy, tier: Tier | null): Cell {
  const variant = variantOfRequest(policy);
  const tierNumber = tier === null ? 0 : tier.number;
  const slot = policy.cells + ((<usize>(variant * (policy.tierCount + 1) + tierNumber)) << 2);
  if (load<usize>(slot) == 0) {
    const tierName: Text = tier === null ? 0 : tier.name;
    const cell = cellOf(policy.route, nameOfVariant(policy, variant), tierName);
    store<usize>(slot, changetype<usize>(cell));
  }
  return changetype<Cell>(load<usize>(slot));
}

/** Where a part of it is counted once more for the caller alone; call it right after findCaller. */
export function cellOfCaller(policy: TokenLimitPolicy, caller: Caller): Cell | null {
  if (!caller.isMeasured) return null;
  const variant = variantOfRequest(policy);
  if (variant == 0) return null;
  return cellOfTenant(
    policy.route,
    nameOfVariant(policy, variant),
    caller.name.ptr,
    caller.name.bytes,
  );
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
