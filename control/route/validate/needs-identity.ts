import type { Report } from "../problem.ts";

/** Reports that a route names tenants or tiers, and has no limit that identifies them. */
export function needsIdentity(why: string, report: Report): void {
  report(
    "missing-field",
    "spec.rateLimit",
    `${why}: set rateLimit.identity, which identifies tenants`,
  );
}
