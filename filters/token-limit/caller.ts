import { valueOfName } from "../format/name-table";
import { xxh64 } from "../format/xxh64";
import { findTenant, keyBytes, keyPtr } from "../identity";
import { Cell, cellOf } from "../measure";
import { variantHeader } from "../plugin";
import { findHeader, isText, Text, valueBytes, valuePtr } from "../sdk";
import { TokenLimitPolicy } from "./config";
import { Tier } from "./tier";

/** Tier of the caller found last, and the bucket's name. */
export let callerTier: usize = 0;
export let callerBucket: u64 = 0;

/** Finds the caller's tier and bucket; the unknown share those of the default tier. */
export function findCaller(policy: TokenLimitPolicy): void {
  callerTier = policy.defaultTier;
  callerBucket = policy.seed;
  if (policy.identity == 0 || !findTenant(policy.identity)) return;
  const name = valueOfName(policy.tenants, keyPtr, keyBytes);
  if (name == 0) return;
  callerTier = name;
  callerBucket = xxh64(keyPtr, keyBytes, policy.seed);
}

/** Where what is seen of a request that is being read is counted. */
export function cellOfRequest(policy: TokenLimitPolicy, tier: usize): Cell {
  const variant = variantOfRequest(policy);
  const tierNumber = tier == 0 ? 0 : changetype<Tier>(tier).number;
  const slot = policy.cells + ((<usize>(variant * (policy.tierCount + 1) + tierNumber)) << 2);
  if (load<usize>(slot) == 0) {
    const variantName: Text =
      variant == 0 ? 0 : load<usize>(policy.variants + ((<usize>variant - 1) << 2));
    const tierName: Text = tier == 0 ? 0 : changetype<Tier>(tier).name;
    store<usize>(slot, changetype<usize>(cellOf(policy.route, variantName, tierName)));
  }
  return changetype<Cell>(load<usize>(slot));
}

/** Number of the variant the canary chose, from 1; the only one where there is no choice; 0 where it is not known. */
function variantOfRequest(policy: TokenLimitPolicy): i32 {
  if (policy.variantCount == 1) return 1;
  const row = findHeader(variantHeader);
  if (row < 0) return 0;
  for (let i = 0; i < policy.variantCount; i++)
    if (isText(load<usize>(policy.variants + ((<usize>i) << 2)), valuePtr(row), valueBytes(row)))
      return i + 1;
  return 0;
}
