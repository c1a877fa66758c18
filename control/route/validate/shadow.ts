import type { Attach, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { mirrors } from "../filter/shadow-policy.ts";
import type { Problem } from "../problem.ts";

/** Checks where shadow traffic goes and which tier it is charged to. */
export function shadowProblems({ shadow, rateLimit, variants }: RouteSpec): Problem[] {
  if (shadow === undefined) return [];
  const labels = variants.find(({ name }) => name === shadow.variant)?.labels ?? {};
  return [
    ...tierProblems(shadow.tier, shadow.mode, Object.keys(rateLimit?.tiers ?? {})),
    ...diverted(shadow),
    ...arrivalProblems(shadow.arrival, labels, shadow.variant),
  ];
}

function tierProblems(tier: string, mode: string, tiers: string[]): Problem[] {
  const path = "spec.shadow.tier";
  if (tier === "") return [];
  if (mode !== "divert")
    return [
      {
        code: "no-effect",
        path,
        message: "tier has no effect with mode mirror: only diverted requests are limited",
      },
    ];
  if (tiers.includes(tier)) return [];
  return [
    {
      code: "unknown-tier",
      path,
      message: `tier "${tier}" is not one of ${tiers.join(", ") || "the route's tiers: it has no rateLimit"}`,
    },
  ];
}

/** Settings that apply only to copies. */
function diverted(shadow: NonNullable<RouteSpec["shadow"]>): Problem[] {
  if (mirrors(shadow)) return [];
  const { maxBodyBytes, maxInFlight } = shadow;
  return Object.entries({ maxBodyBytes, maxInFlight })
    .filter(([, value]) => value !== undefined)
    .map(([field]) => ({
      code: "no-effect",
      path: `spec.shadow.${field}`,
      message: `${field} has no effect with mode divert: it limits copies`,
    }));
}

/** A selector that matches other pods too would stamp real requests as shadow traffic. */
function arrivalProblems(
  arrival: Attach | undefined,
  labels: Record<string, string>,
  variant: string,
): Problem[] {
  if (arrival === undefined) return [];
  const path = "spec.shadow.arrival";
  if (Object.keys(arrival.selector).length === 0 || arrival.targetRefs.length > 0)
    return [
      {
        code: "one-of",
        path,
        message: "arrival selects pods: use selector, not targetRefs",
      },
    ];
  const missing = Object.entries(labels).filter(([key, value]) => arrival.selector[key] !== value);
  if (missing.length === 0) return [];
  const words = missing.map(([key, value]) => `${key}: ${value}`).join(", ");
  return [
    {
      code: "arrival-labels",
      path: `${path}.selector`,
      message: `selector must have the labels of variant ${variant} (${words} is missing): otherwise other pods' requests are marked as shadow traffic`,
    },
  ];
}
