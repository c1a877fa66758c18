import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { createLedger } from "../../control/report/index.ts";
import { tenantsOf, tiersOf } from "../../control/signals/refusals.ts";

const route = "inference/chat";

/** What was reported of ten seconds. */
function observed(counters: [name: string, label: string, count: number, tier?: string][]) {
  const ledger = createLedger(() => 1_000);
  ledger.add(
    create(ReportRequestSchema, {
      node: "a",
      epoch: "one",
      counters: counters.map(([name, label, count, tier = ""]) => ({
        name,
        route,
        label,
        tier,
        value: BigInt(count),
      })),
    }),
  );
  return ledger.observation(route);
}

it("says of each tier what was admitted, and what was refused for which reason", () => {
  const window = observed([
    ["rate_limit_admitted", "gold", 100],
    ["rate_limit_refused", "bronze", 20],
    ["concurrency_refused", "bronze", 10],
    ["overload_refused", "gold", 5],
    ["token_limit", "refused", 15, "gold"],
    ["token_limit", "admitted", 80, "gold"],
    ["forbidden", "free", 40],
    ["route_full", "", 30],
    ["unauthenticated", "", 10],
  ]);
  expect(tiersOf(window, 10)).toEqual([
    {
      tier: "bronze",
      admittedPerSecond: 0,
      refusedPerSecond: 3,
      refusals: [
        { code: "rate_limited", perSecond: 2 },
        { code: "concurrency_limited", perSecond: 1 },
      ],
    },
    {
      tier: "free",
      admittedPerSecond: 0,
      refusedPerSecond: 4,
      refusals: [{ code: "forbidden", perSecond: 4 }],
    },
    {
      tier: "gold",
      admittedPerSecond: 10,
      refusedPerSecond: 2,
      refusals: [
        { code: "overloaded", perSecond: 0.5 },
        { code: "tokens_limited", perSecond: 1.5 },
      ],
    },
    {
      tier: "",
      admittedPerSecond: 0,
      refusedPerSecond: 4,
      refusals: [
        { code: "route_full", perSecond: 3 },
        { code: "unauthenticated", perSecond: 1 },
      ],
    },
  ]);
});

it("names the tenants that were refused something, the most refused first", () => {
  const window = observed([
    ["tenant_refused", "acme", 5],
    ["tenant_refused", "globex", 50],
    ["tenant_refused", "initech", 0],
  ]);
  expect(tenantsOf(window, 10)).toEqual([
    { tenant: "globex", refusedPerSecond: 5 },
    { tenant: "acme", refusedPerSecond: 0.5 },
  ]);
});
