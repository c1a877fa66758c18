import { CanaryPolicy } from "../canary/config";
import { applyCanary, chooseVariant, writeVariant } from "../canary/filter";
import { CompressionPolicy } from "../compression/config";
import { applyCompression } from "../compression/filter";
import { CANARY, COMPRESSION, policyOf, RATE_LIMIT, Route, SHADOW } from "../document";
import {
  modeHeader,
  noteClaimed,
  removeClaimed,
  tagHeader,
  tenantHeader,
  tierHeader,
  variantHeader,
} from "../plugin";
import { notePods } from "../pressure";
import { takePart } from "../rate-limit/concurrency/concurrency";
import { RateLimitPolicy } from "../rate-limit/config";
import { applyRateLimit, podsOpen } from "../rate-limit/filter";
import { CONTINUE, EXTENDED, STOP_ITERATION } from "../sdk";
import { stampArrival } from "../shadow/arrival";
import { ShadowPolicy } from "../shadow/config";
import { applyShadow } from "../shadow/filter";

/**
 * The four decisions over one header read. The rate limit comes first: who is
 * refused costs nothing more, and nothing of theirs goes on to be cleaned.
 */
export function decide(at: usize, bodiless: bool, context: u32): i32 {
  if (at == 0) {
    cleanIdentity();
    cleanShadow();
    removeClaimed(variantHeader);
    return CONTINUE;
  }
  const route = changetype<Route>(at);
  const shadow = policyOf(route, SHADOW);
  if (EXTENDED && shadow != 0 && changetype<ShadowPolicy>(shadow).arrival) {
    stampArrival(changetype<ShadowPolicy>(shadow));
    return CONTINUE;
  }
  const rateLimit = policyOf(route, RATE_LIMIT);
  if (EXTENDED) notePods(rateLimit == 0 ? 1 : podsOpen(changetype<RateLimitPolicy>(rateLimit)));
  // What is diverted is charged to no tenant, so that is known first.
  let diverts = false;
  let diverted: bool = false;
  if (EXTENDED && shadow != 0 && changetype<ShadowPolicy>(shadow).divert) {
    diverts = true;
    diverted = applyShadow(changetype<ShadowPolicy>(shadow), bodiless);
  }
  if (rateLimit == 0) cleanIdentity();
  else if (!applyRateLimit(changetype<RateLimitPolicy>(rateLimit), context, diverted))
    return STOP_ITERATION;

  // Places go by variant, so that is chosen while the request can still be refused.
  const canary = policyOf(route, CANARY);
  let variant: i32 = -1;
  if (EXTENDED && canary != 0 && rateLimit != 0 && !diverted) {
    const policy = changetype<CanaryPolicy>(canary);
    variant = chooseVariant(policy);
    if (
      policy.variantCount > 1 &&
      !takePart(changetype<RateLimitPolicy>(rateLimit), context, policy, variant)
    )
      return STOP_ITERATION;
  }

  if (shadow == 0) cleanShadow();
  else if (!diverts) applyShadow(changetype<ShadowPolicy>(shadow), bodiless);

  if (canary == 0) removeClaimed(variantHeader);
  else {
    noteClaimed(variantHeader);
    if (EXTENDED && variant >= 0) writeVariant(changetype<CanaryPolicy>(canary), variant);
    else applyCanary(changetype<CanaryPolicy>(canary));
  }

  const compression = policyOf(route, COMPRESSION);
  if (compression != 0) applyCompression(changetype<CompressionPolicy>(compression));
  return CONTINUE;
}

function cleanIdentity(): void {
  removeClaimed(tenantHeader);
  removeClaimed(tierHeader);
}

function cleanShadow(): void {
  removeClaimed(modeHeader);
  removeClaimed(tagHeader);
}
