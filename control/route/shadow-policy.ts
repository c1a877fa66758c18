import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ShadowPolicySchema } from "../gen/weir/v1/filter_pb.ts";
import type { RateLimit, RouteSpec } from "../gen/weir/v1/route_pb.ts";

type ShadowPolicyInit = MessageInitShape<typeof ShadowPolicySchema>;

/** A copy costs the proxy what the request did: images and documents are not worth one. */
const mirroredBodyBytes = 1 << 20;

/**
 * The tenant that pays for diverted requests. A caller's name never has a comma,
 * which separates values in a header.
 */
const shadowTenant = ",shadow";

/** What the filters do about shadow traffic where it is sent off. */
export function shadowPolicy({ shadow, rateLimit }: RouteSpec): ShadowPolicyInit | undefined {
  if (shadow === undefined) return undefined;
  return {
    percent: shadow.percent,
    tag: shadow.tag,
    match: shadow.match,
    ...headers(shadow),
    ...(shadow.from.length > 0 ? { from: shadow.from, identity: rateLimit?.identity ?? [] } : {}),
    ...(shadow.baggage ? { baggage: true } : {}),
    ...(shadow.mode === "divert"
      ? paidApart(rateLimit)
      : { maxBodyBytes: shadow.maxBodyBytes ?? mirroredBodyBytes }),
  };
}

/** Only a limit has to know of a request that it is diverted. */
function paidApart(rateLimit: RateLimit | undefined): ShadowPolicyInit {
  return rateLimit ? { divert: true } : {};
}

/** What the filter does at the shadow variant's own pods. */
export function arrivalPolicy({ shadow }: RouteSpec): ShadowPolicyInit | undefined {
  if (shadow?.arrival === undefined) return undefined;
  const { tag, baggage } = shadow;
  return { arrival: true, tag, ...headers(shadow), ...(baggage ? { baggage: true } : {}) };
}

/** The route's tenants, and who pays for what is diverted. */
export function tenantsOf(rateLimit: RateLimit, shadow: RouteSpec["shadow"]) {
  if (shadow?.mode !== "divert") return rateLimit.tenants;
  return { ...rateLimit.tenants, [shadowTenant]: shadow.tier || rateLimit.default };
}

function headers({ modeHeader, tagHeader }: NonNullable<RouteSpec["shadow"]>) {
  return { modeHeader: modeHeader || "x-shadow-mode", tagHeader: tagHeader || "x-traffic-tag" };
}
