import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TenantSignalsSchema, TierSignalsSchema } from "../gen/weir/v1/signals_pb.ts";
import { counterNames, labelsOf, type Observation, totalOf } from "../report/index.ts";

/** Refusals by the code that they have, counted with the tier as label. */
const ofTier = [
  ["rate_limited", counterNames.rateLimitRefused],
  ["concurrency_limited", counterNames.concurrencyRefused],
  ["overloaded", counterNames.overloadRefused],
  ["forbidden", counterNames.forbidden],
] as const;

/** The same of refusals that are counted for the whole route. */
const ofRoute = [
  ["route_full", counterNames.routeFull],
  ["unauthenticated", counterNames.unauthenticated],
] as const;

type Tier = MessageInitShape<typeof TierSignalsSchema>;
type Tenant = MessageInitShape<typeof TenantSignalsSchema>;

/** What was admitted and refused, by tier and reason; a tier without name is the whole route. */
export function tiersOf(window: Observation, seconds: number): Tier[] {
  const whole = ofRoute.map(([code, counter]): [string, number] => [
    code,
    totalOf(window, counter),
  ]);
  const route = tierOf("", 0, whole, seconds);
  const names = new Set(
    [counterNames.rateLimitAdmitted, ...ofTier.map(([, counter]) => counter)].flatMap((counter) =>
      labelsOf(window, counter),
    ),
  );
  const tiers = [...names].sort().map((tier) => {
    const byTokens = totalOf(window, counterNames.tokenLimit, { label: "refused", tier });
    const reasons = ofTier.map(([code, counter]): [string, number] => [
      code,
      totalOf(window, counter, { label: tier }),
    ]);
    const admitted = totalOf(window, counterNames.rateLimitAdmitted, { label: tier });
    return tierOf(tier, admitted, [...reasons, ["tokens_limited", byTokens]], seconds);
  });
  return whole.some(([, count]) => count > 0) ? [...tiers, route] : tiers;
}

function tierOf(
  tier: string,
  admitted: number,
  reasons: readonly [code: string, count: number][],
  seconds: number,
): Tier {
  return {
    tier,
    admittedPerSecond: admitted / seconds,
    refusedPerSecond: reasons.reduce((sum, [, count]) => sum + count, 0) / seconds,
    refusals: reasons
      .filter(([, count]) => count > 0)
      .map(([code, count]) => ({ code, perSecond: count / seconds })),
  };
}

/** The tenants that were refused something, those first that were refused most. */
export function tenantsOf(window: Observation, seconds: number): Tenant[] {
  return labelsOf(window, counterNames.tenantRefused)
    .map((tenant) => {
      const count = totalOf(window, counterNames.tenantRefused, { label: tenant });
      return { tenant, refusedPerSecond: count / seconds };
    })
    .filter(({ refusedPerSecond }) => refusedPerSecond > 0)
    .sort((a, b) => b.refusedPerSecond - a.refusedPerSecond);
}
