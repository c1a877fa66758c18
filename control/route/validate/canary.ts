import type { Canary, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import type { Report } from "../problem.ts";
import { needsIdentity } from "./needs-identity.ts";
import { checkSources } from "./sources.ts";

/** Maximum number of sources that the filters read from one list. */
const maxSources = 8;
const maxIdleSeconds = 7 * 24 * 60 * 60;

/** Checks the assignment of users: keys, forced variants, pins, holds and conversations. */
export function checkCanary(spec: RouteSpec, report: Report): void {
  const { canary } = spec;
  if (canary === undefined) return;
  checkSources(canary.stickyBy, "spec.canary.stickyBy", report);
  checkForce(canary, spec, report);
  checkStickyByTenant(canary, spec, report);
  checkPin(canary, spec, report);
  checkHold(canary, spec, report);
  checkConversations(canary, report);
}

function checkForce({ force }: Canary, { rateLimit }: RouteSpec, report: Report): void {
  if (force === undefined) return;
  if (rateLimit === undefined) needsIdentity("canary.force.from names tenants", report);
  if (controlHeaders.includes(force.header))
    report(
      "control-header",
      "spec.canary.force.header",
      `header ${force.header} is set by weir and cannot be sent by clients: use another header`,
    );
}

function checkStickyByTenant({ stickyBy }: Canary, { rateLimit }: RouteSpec, report: Report): void {
  const index = stickyBy.findIndex(({ source }) => source.case === "tenant");
  if (index >= 0 && rateLimit === undefined)
    needsIdentity(`canary.stickyBy[${index}] uses the tenant`, report);
  const sources = stickyBy.flatMap((each) =>
    each.source.case === "tenant" ? rateLimit?.identity : each,
  );
  if (sources.length > maxSources)
    report(
      "too-many",
      "spec.canary.stickyBy",
      `stickyBy has ${sources.length} sources, including those of rateLimit.identity: at most ${maxSources} are allowed`,
    );
}

function checkPin({ pin }: Canary, spec: RouteSpec, report: Report): void {
  const pins = Object.entries(pin);
  const names = servingNames(spec);
  for (const [tenant, variant] of pins)
    if (!names.includes(variant))
      report(
        "unknown-variant",
        `spec.canary.pin.${tenant}`,
        `variant "${variant}" is not one of ${names.join(", ")}`,
      );
  if (pins.length > 0 && spec.rateLimit === undefined)
    needsIdentity("canary.pin names tenants", report);
}

function checkHold({ hold }: Canary, spec: RouteSpec, report: Report): void {
  if (hold === undefined) return;
  if (spec.rateLimit === undefined) {
    needsIdentity("canary.hold names tiers", report);
    return;
  }
  const tiers = Object.keys(spec.rateLimit.tiers);
  const names = servingNames(spec);
  hold.tiers.forEach((tier, index) => {
    if (!tiers.includes(tier))
      report(
        "unknown-tier",
        `spec.canary.hold.tiers[${index}]`,
        `tier "${tier}" is not one of ${tiers.join(", ")}`,
      );
  });
  if (!names.includes(hold.variant))
    report(
      "unknown-variant",
      "spec.canary.hold.variant",
      `variant "${hold.variant}" is not one of ${names.join(", ")}`,
    );
}

/** Variants that answer users: all but the one for shadow traffic. */
function servingNames({ shadow, variants }: RouteSpec): string[] {
  return variants.map(({ name }) => name).filter((name) => name !== shadow?.variant);
}

function checkConversations({ conversations }: Canary, report: Report): void {
  if (conversations === undefined) return;
  const path = "spec.canary.conversations";
  const { header, idle } = conversations;
  if (controlHeaders.includes(header))
    report(
      "control-header",
      `${path}.header`,
      `header ${header} is set by weir and cannot name a conversation: use another header`,
    );
  const seconds = Number(idle?.seconds ?? 1n);
  if (seconds < 1 || seconds > maxIdleSeconds || (idle?.nanos ?? 0) !== 0)
    report(
      "out-of-range",
      `${path}.idle`,
      `idle must be whole seconds from 1s to ${maxIdleSeconds}s`,
    );
}
