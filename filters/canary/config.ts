import { Route } from "../document";
import {
  failJson,
  hasFailed,
  jsonString,
  keepString,
  member,
  nextElement,
  nextMember,
  openArray,
  openObject,
  readInteger,
  unknownField,
} from "../format/json";
import { readHeaderName, readLabel, readText, readTexts } from "../format/values";
import { xxh64 } from "../format/xxh64";
import { readSources } from "../identity";
import { Counter, countedBy } from "../report";
import { EXTENDED, isLiteral, isText, Region, Text, textBytes, textPtr } from "../sdk";
import { BUCKETS } from "./choice";

const MAX_VARIANTS: i32 = 16;
const MAX_RUNS: i32 = 10000;

/** Message CanaryPolicy. */
@unmanaged
export class CanaryPolicy {
  stickyBy: usize;
  /** Hash seed made of the salt. */
  seed: u64;
  /** u32 first bucket behind the run | u32 variant, per run. */
  runs: usize;
  runCount: i32;
  /** Text pointer | metric pointer, per variant. */
  variants: usize;
  variantCount: i32;
  forceHeader: Text;
  forceFrom: usize;
  identity: usize;
  /** Links of Pin. */
  pins: usize;
  /** The Pin of everyone whom no other names; 0: there is none. */
  defaultPin: usize;
  /** Header that names a conversation; 0: conversations follow the buckets. */
  conversationHeader: Text;
  /** Pause that ends a conversation. */
  conversationIdleS: u32;
  /** How many buckets each variant has. */
  weights: usize;
  /** One bit per variant that has a bucket. */
  live: u32;
}

/** A tenant that stays on one variant. */
@unmanaged
export class Pin {
  next: usize;
  tenant: Text;
  variantName: Text;
  /** -1: the tenant follows the buckets. */
  variant: i32;
}

export function variantName(policy: CanaryPolicy, index: i32): Text {
  return load<usize>(policy.variants + ((<usize>index) << 3));
}
/** The variant's share of the 10,000 buckets; weir-full.wasm alone keeps it. */
export function variantWeight(policy: CanaryPolicy, index: i32): u32 {
  return load<u32>(policy.weights + ((<usize>index) << 2));
}
export function variantMetric(policy: CanaryPolicy, index: i32): Counter {
  return changetype<Counter>(load<usize>(policy.variants + ((<usize>index) << 3), 4));
}

/** Number of a variant; -1 when the policy has none of that name. */
export function variantIndex(policy: CanaryPolicy, ptr: usize, bytes: usize): i32 {
  for (let i = 0; i < policy.variantCount; i++)
    if (isText(variantName(policy, i), ptr, bytes)) return i;
  return -1;
}

/** Runs of (next, variant name, bucket behind): the document may list the buckets before the variants. */
let runNames: usize = 0;

export function parseCanary(region: Region): usize {
  const policy = changetype<CanaryPolicy>(region.alloc(offsetof<CanaryPolicy>()));
  policy.variants = region.alloc((<usize>MAX_VARIANTS) << 3);
  if (EXTENDED) policy.weights = region.alloc((<usize>MAX_VARIANTS) << 2);
  openObject();
  while (nextMember()) {
    if (member("stickyBy")) policy.stickyBy = readSources(region);
    else if (member("salt")) readSalt(policy, region);
    else if (member("buckets")) readRuns(policy, region);
    else if (member("variants")) readVariants(policy, region);
    else if (member("force")) readForce(policy, region);
    else if (member("identity")) policy.identity = readSources(region);
    else if (EXTENDED && member("pins")) readPins(policy, region);
    else if (EXTENDED && member("conversations")) readConversations(policy, region);
    else unknownField();
  }
  if (!hasFailed()) layOut(policy, region);
  return changetype<usize>(policy);
}

function readSalt(policy: CanaryPolicy, region: Region): void {
  const salt = readText(region, 256);
  if (salt != 0) policy.seed = xxh64(textPtr(salt), textBytes(salt), 0);
}

function readVariants(policy: CanaryPolicy, region: Region): void {
  openArray();
  while (nextElement()) {
    const name = readLabel(region);
    if (name == 0) return;
    if (policy.variantCount >= MAX_VARIANTS) failJson("is one variant too many: 16 are allowed");
    else if (variantIndex(policy, jsonString.ptr, jsonString.bytes) >= 0)
      failJson("is named twice");
    else {
      store<usize>(policy.variants + ((<usize>policy.variantCount) << 3), name);
      policy.variantCount++;
    }
  }
}

function readRuns(policy: CanaryPolicy, region: Region): void {
  let behind: u32 = 0;
  runNames = 0;
  openArray();
  while (nextElement()) {
    const run = region.alloc(16);
    openObject();
    while (nextMember()) {
      if (member("variant")) store<usize>(run, readLabel(region), 4);
      else if (member("count")) {
        behind += readInteger(1, BUCKETS);
      } else unknownField();
    }
    if (hasFailed()) return;
    if (load<usize>(run, 4) == 0) failJson("has no variant");
    policy.runCount++;
    if (policy.runCount > MAX_RUNS) failJson("is one run too many: 10000 are allowed");
    store<usize>(run, runNames);
    store<u32>(run, behind, 8);
    runNames = run;
  }
  if (behind != BUCKETS) failJson("must have counts that sum to 10000");
}

function readForce(policy: CanaryPolicy, region: Region): void {
  openObject();
  while (nextMember()) {
    if (member("header")) policy.forceHeader = readHeaderName(region);
    else if (member("from")) policy.forceFrom = readTexts(region, 256);
    else unknownField();
  }
  if (!hasFailed() && policy.forceHeader == 0) failJson("has no header");
}

function readPins(policy: CanaryPolicy, region: Region): void {
  openObject();
  while (nextMember()) {
    const pin = changetype<Pin>(region.alloc(offsetof<Pin>()));
    pin.tenant = keepString(region);
    pin.variantName = readText(region, 63);
    pin.next = policy.pins;
    policy.pins = changetype<usize>(pin);
  }
}

function readConversations(policy: CanaryPolicy, region: Region): void {
  openObject();
  while (nextMember()) {
    if (member("header")) policy.conversationHeader = readHeaderName(region);
    else if (member("idleSeconds")) {
      policy.conversationIdleS = readInteger(1, 604800);
    } else unknownField();
  }
  if (hasFailed()) return;
  if (policy.conversationHeader == 0) failJson("has no header");
  else if (policy.conversationIdleS == 0) failJson("has no idleSeconds");
}

/** Turns the runs, read in reverse, into the table that ./choice searches. */
function layOut(policy: CanaryPolicy, region: Region): void {
  if (policy.variantCount == 0) failJson("has no variants");
  else if (policy.runCount == 0) failJson("has no buckets");
  policy.runs = region.alloc((<usize>policy.runCount) << 3);
  let slot = policy.runs + ((<usize>policy.runCount) << 3);
  for (let run = runNames; run != 0; run = load<usize>(run)) {
    const name = load<usize>(run, 4);
    const index = variantIndex(policy, textPtr(name), textBytes(name));
    if (index < 0) failJson("has a bucket of a variant that variants does not have");
    slot -= 8;
    store<u32>(slot, load<u32>(run, 8));
    store<i32>(slot, index, 4);
    if (EXTENDED && index >= 0) {
      policy.live |= 1 << index;
      const before = load<usize>(run);
      const weight = policy.weights + ((<usize>index) << 2);
      const count = load<u32>(run, 8) - (before == 0 ? 0 : load<u32>(before, 8));
      store<u32>(weight, load<u32>(weight) + count);
    }
  }
  if (EXTENDED) resolvePins(policy);
}

function resolvePins(policy: CanaryPolicy): void {
  for (let at = policy.pins; at != 0; at = changetype<Pin>(at).next) {
    const pin = changetype<Pin>(at);
    pin.variant = variantIndex(policy, textPtr(pin.variantName), textBytes(pin.variantName));
    if (isStar(pin.tenant)) policy.defaultPin = at;
    if (pin.variant < 0 && !isStar(pin.variantName))
      failJson("has a pin to a variant that variants does not have");
  }
}

function isStar(text: Text): bool {
  return text != 0 && isLiteral("*", textPtr(text), textBytes(text));
}

/** Takes the counters of the variants. */
export function bindCanary(at: usize, route: Route): void {
  const policy = changetype<CanaryPolicy>(at);
  for (let i = 0; i < policy.variantCount; i++) {
    const metric = countedBy("canary_requests", route, "variant", variantName(policy, i));
    store<usize>(policy.variants + ((<usize>i) << 3), changetype<usize>(metric), 4);
  }
}
