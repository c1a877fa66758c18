import type { RateLimit, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";
import { checkCallers } from "./callers.ts";
import { checkSources } from "./sources.ts";
import { rangesProblem, tenantProblem } from "./tenant-name.ts";

/** Checks limits of requests and the sources of identity. */
export function checkRateLimit({ canary, rateLimit }: RouteSpec, report: Report): void {
  if (rateLimit === undefined) return;
  const tiers = Object.keys(rateLimit.tiers);
  const unknown = (name: string) => `tier "${name}" is not one of ${tiers.join(", ")}`;
  if (!tiers.includes(rateLimit.default))
    report("unknown-tier", "spec.rateLimit.default", unknown(rateLimit.default));
  const bySourceIp = rateLimit.identity.some(({ source }) => source.case === "sourceIp");
  for (const [tenant, tier] of Object.entries(rateLimit.tenants)) {
    const problem = tenantProblem(tenant, bySourceIp);
    // The name may be a key that was pasted in plain: it is not repeated.
    if (problem) report("bad-tenant", "spec.rateLimit.tenants", problem);
    else if (!tiers.includes(tier))
      report("unknown-tier", `spec.rateLimit.tenants.${tenant}`, unknown(tier));
  }
  const tooMany = rangesProblem(rateLimit);
  if (tooMany) report("bad-tenant", "spec.rateLimit.tenants", tooMany);
  checkSources(rateLimit.identity, "spec.rateLimit.identity", report);
  rateLimit.identity.forEach(({ source }, index) => {
    if (source.case === "tenant")
      report(
        "circular",
        `spec.rateLimit.identity[${index}].tenant`,
        "rateLimit.identity determines the tenant, so it cannot use the tenant: use header, apiKey, sourceIp or san",
      );
  });
  const limits = [rateLimit, ...Object.values(rateLimit.tiers)];
  const bounded = canary && limits.some(({ concurrent }) => concurrent !== undefined);
  if (rateLimit.variantPercent !== undefined && !bounded)
    report(
      "no-effect",
      "spec.rateLimit.variantPercent",
      "variantPercent has no effect without spec.canary and a limit of concurrent requests",
    );
  checkCallers(rateLimit, report);
  checkConnectionLimit(rateLimit, report);
}

function checkConnectionLimit({ perConnection: limit }: RateLimit, report: Report): void {
  if (limit && limit.burst > 0 && limit.burst < limit.requestsPerSecond)
    report(
      "burst-too-small",
      "spec.rateLimit.perConnection.burst",
      `burst must be at least requestsPerSecond ${limit.requestsPerSecond}, not ${limit.burst}`,
    );
}
