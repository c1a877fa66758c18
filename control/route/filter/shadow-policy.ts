import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ShadowPolicySchema,
  TokenLimitPolicySchema,
  TokenShadowSchema,
} from "../../gen/weir/v1/filter_pb.ts";
import type { RateLimit, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { shadowHeaderNames } from "../shadow-headers.ts";
import { tenantSources } from "./caller-sources.ts";
import { filterConditions } from "./conditions.ts";

type ShadowPolicyInit = MessageInitShape<typeof ShadowPolicySchema>;

/** A copy costs the proxy what the request did: images and documents are not worth one. */
const mirroredBodyBytes = 1 << 20;

/**
 * The tenant that pays for diverted requests. A caller's name never has a comma,
 * which separates values in a header.
 */
const shadowTenant = ",shadow";

/** Default maximum of copies in flight. */
const usualCopies = 100;

type Shadow = NonNullable<RouteSpec["shadow"]>;

/** Whether tagged requests are copied, rather than sent to the shadow themselves. */
export function mirrors(shadow: Shadow): boolean {
  return shadow.mode !== "divert";
}

/** Copies that may be in flight at once from one proxy. */
export function maxCopies(shadow: Shadow): number {
  return shadow.maxInFlight ?? usualCopies;
}

/** What the filters do about shadow traffic where it is sent off. */
export function shadowPolicy({ shadow, rateLimit }: RouteSpec): ShadowPolicyInit | undefined {
  if (shadow === undefined) return undefined;
  return {
    percent: shadow.percent,
    tag: shadow.tag,
    match: filterConditions(shadow.match),
    ...shadowHeaderNames(shadow),
    ...(shadow.from.length > 0 ? { from: shadow.from, identity: tenantSources(rateLimit) } : {}),
    ...(shadow.baggage ? { baggage: true } : {}),
    ...(shadow.yield ? { yield: true } : {}),
    ...(mirrors(shadow)
      ? { maxBodyBytes: shadow.maxBodyBytes ?? mirroredBodyBytes }
      : paidApart(rateLimit)),
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
  return {
    arrival: true,
    tag,
    ...shadowHeaderNames(shadow),
    ...(baggage ? { baggage: true } : {}),
  };
}

/** How token counting recognizes diverted requests; undefined if none are diverted. */
export function divertedTokens({
  shadow,
}: RouteSpec): MessageInitShape<typeof TokenShadowSchema> | undefined {
  if (shadow === undefined || mirrors(shadow)) return undefined;
  return { header: shadowHeaderNames(shadow).modeHeader, ...clamp(shadow) };
}

/** What token-limit.wasm does where only shadow traffic comes by; undefined where it is left as it is. */
export function copiedTokens({
  shadow,
}: RouteSpec): MessageInitShape<typeof TokenLimitPolicySchema> | undefined {
  if (shadow?.maxTokens === undefined) return undefined;
  return { variants: [shadow.variant], shadow: clamp(shadow) };
}

function clamp({ maxTokens }: Shadow) {
  return maxTokens === undefined ? {} : { maxTokens };
}

/** The route's tenants, and who pays for what is diverted. */
export function tenantsOf(rateLimit: RateLimit, shadow: RouteSpec["shadow"]) {
  if (shadow === undefined || mirrors(shadow)) return rateLimit.tenants;
  return { ...rateLimit.tenants, [shadowTenant]: shadow.tier || rateLimit.default };
}
