import type { RateLimit, Tier } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

/** Checks which callers a route refuses for who they are: unknown ones, and those of some tiers. */
export function checkCallers({ identity, tiers, unknownCaller }: RateLimit, report: Report): void {
  for (const [name, tier] of Object.entries(tiers)) checkTier(name, tier, report);
  if (unknownCaller !== "refuse") return;
  const path = "spec.rateLimit.unknownCaller";
  const cases = identity.map(({ source }) => source.case);
  if (cases.includes("sourceIp"))
    report(
      "no-effect",
      path,
      "unknownCaller refuse has no effect with sourceIp in identity, because every caller has an address: remove one of them",
    );
  else if (!cases.includes("apiKey") && !cases.includes("header"))
    report(
      "no-challenge",
      path,
      "unknownCaller refuse answers 401, which asks for a credential in a header, and identity has only certificates: set default to a tier with forbidden",
    );
}

function checkTier(name: string, tier: Tier, report: Report): void {
  const path = `spec.rateLimit.tiers.${name}`;
  const { burst, concurrent, forbidden, objective, priority } = tier;
  if (!forbidden) {
    if (tier.requestsPerSecond === undefined)
      report(
        "missing-field",
        `${path}.requestsPerSecond`,
        "requestsPerSecond is required in a tier that is not forbidden",
      );
    return;
  }
  const limited =
    tier.requestsPerSecond !== undefined ||
    concurrent !== undefined ||
    tier.tokensPerMinute !== undefined ||
    burst > 0 ||
    priority > 0 ||
    objective !== "";
  if (limited)
    report(
      "forbidden-with-limits",
      `${path}.forbidden`,
      `tier ${name} is forbidden, so its other fields have no effect: remove them, or forbidden`,
    );
}
