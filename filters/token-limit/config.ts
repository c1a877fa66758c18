import { Route } from "../document";
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
  readInteger,
  readNumber,
  readString,
  unknownField,
} from "../format/json";
import {
  indexNames,
  NameTable,
  nextEntry,
  openNameTable,
  putName,
  setValueOfEntry,
  valueOfEntry,
} from "../format/name-table";
import { keepLabel, keepText, readHeaderName, readLabel } from "../format/values";
import { xxh64 } from "../format/xxh64";
import { readSources } from "../identity";
import { Region, Text, textBytes, textPtr } from "../sdk";
import { Tier, tierNamed } from "./tier";

const MAX_TIERS: i32 = 16;
const MAX_VARIANTS: i32 = 16;
const MAX_TOKENS: i32 = 1_000_000_000;
/** So many tenants, the first of the configuration, are measured by themselves. */
const MAX_MEASURED: usize = 64;
/** Beside the tier that a tenant's name leads to, whose address has room for it. */
export const MEASURED: usize = 1;

/** Completion tokens that a request is taken to need when it does not say. */
const EXPECTED_TOKENS: u32 = 1024;

/** Message TokenLimitPolicy. */
@unmanaged
export class TokenLimitPolicy {
  identity: usize;
  tiers: usize;
  tierCount: i32;
  tenants: NameTable;
  defaultName: Text;
  /** Tier of the unknown, or 0 where no one is told apart. */
  defaultTier: Tier | null;
  /** Whether the pods of another variant than the chosen one may answer. */
  fallback: bool;
  /** Text pointers, side by side. */
  variants: usize;
  variantCount: i32;
  expectedTokens: u32;
  /** Most tokens of an answer to a tenant whose tokens are limited; 0: as many as it can pay for. */
  maxTokens: u32;
  /** Hundredths of a token that one of the prompt costs which came from a cache, or was written to one. */
  cachedPercent: u32;
  writtenPercent: u32;
  /** A stream that goes beyond its limit is ended. */
  finishOverrun: bool;
  route: Text;
  /** Hash of the route's name, from which its buckets are named. */
  seed: u64;
  /** Whether requests of shadow traffic are told apart, and the header that marks them; 0: all are. */
  shadows: bool;
  shadowHeader: Text;
  /** Most tokens of a shadow's answer; 0: any. */
  shadowMaxTokens: u32;
  /** Proxies that share the limits on requests; 0 where these are the proxy's own. */
  proxies: u32;
  /** Pointers to cells by variant and tier, 0 until used; number 0 of each is the unknown. */
  cells: usize;
}

export function parseTokenLimit(region: Region): usize {
  const policy = changetype<TokenLimitPolicy>(region.alloc(offsetof<TokenLimitPolicy>()));
  policy.tenants = openNameTable(region);
  policy.variants = region.alloc((<usize>MAX_VARIANTS) << 2);
  policy.expectedTokens = EXPECTED_TOKENS;
  policy.cachedPercent = 100;
  policy.writtenPercent = 100;
  openObject();
  while (nextMember()) {
    if (member("identity")) policy.identity = readSources(region);
    else if (member("tiers")) readTiers(policy, region);
    else if (member("tenants")) readTenants(policy, region);
    else if (member("default")) policy.defaultName = readLabel(region);
    else if (member("variants")) readVariants(policy, region);
    else if (member("expectedTokens")) {
      policy.expectedTokens = readInteger(1, 1000000);
    } else if (member("maxTokens")) {
      policy.maxTokens = readInteger(1, 1000000);
    } else if (member("cachedPercent")) {
      policy.cachedPercent = readInteger(0, 1000);
    } else if (member("writtenPercent")) {
      policy.writtenPercent = readInteger(0, 1000);
    } else if (member("overrun")) policy.finishOverrun = readOverrun();
    else if (member("fallback")) policy.fallback = readBool();
    else if (member("shadow")) readShadow(policy, region);
    else if (member("proxies")) {
      policy.proxies = readInteger(1, 10000);
    } else unknownField();
  }
  if (hasFailed()) return 0;
  if (!resolveTiers(policy)) failJson("names a tier that tiers does not have");
  indexNames(policy.tenants, region);
  policy.cells = region.alloc((<usize>((policy.variantCount + 1) * (policy.tierCount + 1))) << 2);
  return changetype<usize>(policy);
}

function readTiers(policy: TokenLimitPolicy, region: Region): void {
  openObject();
  while (nextMember()) {
    const name = keepLabel(region);
    if (name == 0) return;
    if (++policy.tierCount > MAX_TIERS) failJson("is one tier too many: 16 are allowed");
    else {
      const tier = changetype<Tier>(region.alloc(offsetof<Tier>()));
      tier.name = name;
      tier.number = policy.tierCount;
      readTier(tier);
      tier.next = policy.tiers;
      policy.tiers = changetype<usize>(tier);
    }
  }
}

function readTier(tier: Tier): void {
  openObject();
  while (nextMember()) {
    if (member("tokensPerMinute")) {
      tier.tokensPerMinute = readInteger(0, MAX_TOKENS);
      tier.limited = true;
    } else if (member("requestsPerSecond")) {
      const rate = readNumber(0, 1000000);
      if (rate > 0) tier.intervalNs = <u64>Math.round(1000000000 / rate);
    } else if (member("burst")) {
      tier.burst = readInteger(1, 1000000);
    } else unknownField();
  }
}

/** Message TokenShadow. */
function readShadow(policy: TokenLimitPolicy, region: Region): void {
  policy.shadows = true;
  openObject();
  while (nextMember()) {
    if (member("header")) policy.shadowHeader = readHeaderName(region);
    else if (!member("maxTokens")) unknownField();
    else policy.shadowMaxTokens = readInteger(1, 1000000);
  }
}

function readTenants(policy: TokenLimitPolicy, region: Region): void {
  openObject();
  while (nextMember()) {
    const name = keepText(region, 256);
    if (name != 0) putName(policy.tenants, name, readLabel(region), region);
  }
}

function readVariants(policy: TokenLimitPolicy, region: Region): void {
  openArray();
  while (nextElement()) {
    const name = readLabel(region);
    if (policy.variantCount >= MAX_VARIANTS) failJson("has more than 16 variants");
    else if (name != 0) {
      store<usize>(policy.variants + ((<usize>policy.variantCount) << 2), name);
      policy.variantCount++;
    }
  }
}

function readOverrun(): bool {
  if (!readString()) return false;
  if (isString("finish")) return true;
  if (!isString("pass")) failJson('must be "finish" or "pass"');
  return false;
}

/** Tiers may come after the tenants that name them, so they are looked up last. */
function resolveTiers(policy: TokenLimitPolicy): bool {
  const table = policy.tenants;
  // The list begins with the name that was added last.
  let place = table.count;
  for (let entry = nextEntry(table, 0); entry != 0; entry = nextEntry(table, entry)) {
    const name = valueOfEntry(entry);
    const tier = tierNamed(policy.tiers, textPtr(name), textBytes(name));
    if (tier === null) return false;
    const at = changetype<usize>(tier);
    setValueOfEntry(entry, --place < MAX_MEASURED ? at | MEASURED : at);
  }
  if (policy.defaultName == 0) return policy.tiers == 0;
  const name = policy.defaultName;
  policy.defaultTier = tierNamed(policy.tiers, textPtr(name), textBytes(name));
  return policy.defaultTier !== null;
}

export function bindTokenLimit(at: usize, route: Route): void {
  const policy = changetype<TokenLimitPolicy>(at);
  policy.route = route.name;
  policy.seed = xxh64(textPtr(route.name), textBytes(route.name), 0);
}
