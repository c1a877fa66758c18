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
export function decide(route: Route | null, bodiless: bool, context: u32): i32 {
  if (route === null) {
    cleanIdentity();
    cleanShadow();
    removeClaimed(variantHeader);
    return CONTINUE;
  }
  const shadow = policyOf<ShadowPolicy>(route, SHADOW);
  if (EXTENDED && shadow !== null && shadow.arrival) {
    stampArrival(shadow);
    return CONTINUE;
  }
  const rateLimit = policyOf<RateLimitPolicy>(route, RATE_LIMIT);
  if (EXTENDED) notePods(rateLimit === null ? 1 : podsOpen(rateLimit));
  // What is diverted is charged to no tenant, so that is known first.
  let diverts = false;
  let diverted: bool = false;
  if (EXTENDED && shadow !== null && shadow.divert) {
    diverts = true;
    diverted = applyShadow(shadow, bodiless);
  }
  if (rateLimit === null) cleanIdentity();
  else if (!applyRateLimit(rateLimit, context, diverted)) return STOP_ITERATION;

  // Places go by variant, so that is chosen while the request can still be refused.
  const canary = policyOf<CanaryPolicy>(route, CANARY);
  let variant: i32 = -1;
  if (EXTENDED && canary !== null && rateLimit !== null && !diverted) {
    variant = chooseVariant(canary);
    if (canary.variantCount > 1 && !takePart(rateLimit, context, canary, variant))
      return STOP_ITERATION;
  }

  if (shadow === null) cleanShadow();
  else if (!diverts) applyShadow(shadow, bodiless);

  if (canary === null) removeClaimed(variantHeader);
  else {
    noteClaimed(variantHeader);
    if (EXTENDED && variant >= 0) writeVariant(canary, variant);
    else applyCanary(canary);
  }

  const compression = policyOf<CompressionPolicy>(route, COMPRESSION);
  if (compression !== null) applyCompression(compression);
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
