import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { lints } from "./catalog.ts";
import type { Cluster } from "./cluster.ts";
import { type Finding, severities } from "./finding.ts";

export { lints } from "./catalog.ts";
export type { Cluster } from "./cluster.ts";
export { atLeast, type Finding, type Lint, type Severity, severities } from "./finding.ts";
export { locate } from "./locate.ts";
export { type Located, sarif } from "./sarif.ts";

/** What is unwise about a route that is valid, the worst first. */
export function lintRoute(route: InferenceRoute, cluster?: Cluster): Finding[] {
  return lints
    .flatMap(({ check, id, reason, severity }) =>
      check(route, cluster).map((remark) => ({ id, severity, reason, ...remark })),
    )
    .sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}
