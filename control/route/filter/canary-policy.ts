import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CanaryPolicySchema } from "../../gen/weir/v1/filter_pb.ts";
import type { Canary, KeySource, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { callerSources, tenantSources } from "./caller-sources.ts";

const defaultConversationHeader = "x-session-id";
const defaultIdleSeconds = 3600;

/** What the filters do about variants, or undefined where the route has no canary. */
export function canaryPolicy(
  { route, buckets }: RouteState,
  name: string,
): MessageInitShape<typeof CanaryPolicySchema> | undefined {
  const spec = route?.spec;
  if (spec?.canary === undefined) return undefined;
  const { canary, rateLimit, shadow, variants } = spec;
  const identity = tenantSources(rateLimit);
  const pins = pinsOf(canary, rateLimit);
  const pinned = Object.keys(pins).length > 0;
  return {
    stickyBy: withoutTenant(canary.stickyBy, identity),
    salt: canary.salt || name,
    buckets,
    variants: variants.filter((each) => each.name !== shadow?.variant).map((each) => each.name),
    ...(canary.force ? { force: canary.force } : {}),
    ...(pinned ? { pins } : {}),
    ...(canary.force || pinned ? { identity } : {}),
    ...(canary.conversations ? { conversations: conversations(canary.conversations) } : {}),
  };
}

/** The pins, and one for each tenant of a tier that is held. */
function pinsOf({ pin, hold }: Canary, rateLimit: RouteSpec["rateLimit"]): Record<string, string> {
  if (hold === undefined || rateLimit === undefined) return pin;
  const isHeld = (tier: string) => hold.tiers.includes(tier);
  const everyoneElse = isHeld(rateLimit.default);
  const tenants = Object.entries(rateLimit.tenants)
    .filter(([, tier]) => isHeld(tier) !== everyoneElse)
    // When the hold includes unknown tenants, the list names the tenants that are not held.
    .map(([tenant]) => [tenant, everyoneElse ? "*" : hold.variant]);
  return {
    ...Object.fromEntries(tenants),
    ...(everyoneElse ? { "*": hold.variant } : {}),
    ...pin,
  };
}

function conversations({ header, idle }: NonNullable<Canary["conversations"]>) {
  return {
    header: header || defaultConversationHeader,
    idleSeconds: Number(idle?.seconds ?? defaultIdleSeconds),
  };
}

/** Replaces a tenant source by the sources of rateLimit.identity, as the filters expect. */
function withoutTenant(sources: readonly KeySource[], identity: ReturnType<typeof tenantSources>) {
  return sources.flatMap((each) =>
    each.source.case === "tenant" ? identity : callerSources([each]),
  );
}
