import type { RouteSpec, Shadow } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import { mirrors } from "../filter/shadow-policy.ts";
import type { Report } from "../problem.ts";
import { shadowHeaderNames } from "../shadow-headers.ts";
import { checkMatches } from "./matches.ts";
import { needsIdentity } from "./needs-identity.ts";

/** Checks where shadow traffic goes and which tier it is charged to. */
export function checkShadow(spec: RouteSpec, report: Report): void {
  const { shadow, variants, rateLimit } = spec;
  if (shadow === undefined) return;
  const target = variants.find((each) => each.name === shadow.variant);
  if (target === undefined)
    report(
      "unknown-variant",
      "spec.shadow.variant",
      `variant "${shadow.variant}" is not one of ${variants.map((each) => each.name).join(", ")}`,
    );
  else if (target.weight !== 0)
    report(
      "shadow-weight",
      "spec.shadow.variant",
      `variant ${shadow.variant} receives only shadow traffic: its weight must be 0, not ${target.weight}`,
    );
  const { modeHeader, tagHeader } = shadowHeaderNames(shadow);
  if (modeHeader === tagHeader)
    report(
      "same-header",
      "spec.shadow.tagHeader",
      `modeHeader and tagHeader must differ, both are ${modeHeader}`,
    );
  for (const [field, header] of Object.entries({ modeHeader, tagHeader }))
    if (controlHeaders.includes(header))
      report(
        "control-header",
        `spec.shadow.${field}`,
        `header ${header} is reserved by weir: use another header`,
      );
  checkMatches(shadow.match, "spec.shadow.match", report);
  if (shadow.from.length > 0 && rateLimit === undefined)
    needsIdentity("shadow.from names tenants", report);
  checkTier(shadow, spec, report);
  checkDiverted(shadow, report);
  checkArrival(shadow, spec, report);
  checkIsolation(shadow, spec, report);
}

function checkTier({ tier, mode }: Shadow, { rateLimit }: RouteSpec, report: Report): void {
  const path = "spec.shadow.tier";
  const tiers = Object.keys(rateLimit?.tiers ?? {});
  if (tier === "") return;
  if (mode !== "divert")
    report(
      "no-effect",
      path,
      "tier has no effect with mode mirror: only diverted requests are limited",
    );
  else if (!tiers.includes(tier))
    report(
      "unknown-tier",
      path,
      `tier "${tier}" is not one of ${tiers.join(", ") || "the route's tiers: it has no rateLimit"}`,
    );
}

/** Settings that apply only to copies. */
function checkDiverted(shadow: Shadow, report: Report): void {
  if (mirrors(shadow)) return;
  const { maxBodyBytes, maxInFlight } = shadow;
  for (const [field, value] of Object.entries({ maxBodyBytes, maxInFlight }))
    if (value !== undefined)
      report(
        "no-effect",
        `spec.shadow.${field}`,
        `${field} has no effect with mode divert: it limits copies`,
      );
}

/** A selector that matches other pods too would stamp real requests as shadow traffic. */
function checkArrival(shadow: Shadow, spec: RouteSpec, report: Report): void {
  const { arrival, variant } = shadow;
  if (arrival === undefined) return;
  const path = "spec.shadow.arrival";
  if (Object.keys(arrival.selector).length === 0 || arrival.targetRefs.length > 0) {
    report("one-of", path, "arrival selects pods: use selector, not targetRefs");
    return;
  }
  const labels = Object.entries(labelsOf(shadow, spec));
  const missing = labels.filter(([key, value]) => arrival.selector[key] !== value);
  if (missing.length === 0) return;
  const words = missing.map(([key, value]) => `${key}: ${value}`).join(", ");
  report(
    "arrival-labels",
    `${path}.selector`,
    `selector must have the labels of variant ${variant} (${words} is missing): otherwise other pods' requests are marked as shadow traffic`,
  );
}

function checkIsolation(shadow: Shadow, spec: RouteSpec, report: Report): void {
  const selector = shadow.isolate?.selector;
  if (selector === undefined) return;
  const labels = labelsOf(shadow, spec);
  for (const [name, value] of Object.entries(labels))
    if (selector[name] !== value)
      report(
        "isolate-selector",
        "spec.shadow.isolate.selector",
        `selector must have the labels of variant ${shadow.variant}: ${name}: ${value} is missing`,
      );
}

/** Labels of the pods that get shadow traffic. */
function labelsOf({ variant }: Shadow, { variants }: RouteSpec): Record<string, string> {
  return variants.find(({ name }) => name === variant)?.labels ?? {};
}
