import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { clusterLints } from "./around.ts";
import { lints } from "./catalog.ts";
import type { Cluster } from "./cluster.ts";
import { type Finding, type Lint, severities } from "./finding.ts";

export { lints } from "./catalog.ts";
export type { Cluster } from "./cluster.ts";
export { passHasNoEffect } from "./failure.ts";
export { atLeast, type Finding, type Severity, severities } from "./finding.ts";
export { locate } from "./locate.ts";
export { type Located, sarif } from "./sarif.ts";

/** What is unwise about a route that is valid, the worst first. */
export function lintRoute(route: InferenceRoute, cluster?: Cluster): Finding[] {
  return findings(lints, route, cluster).sort(
    (a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity),
  );
}

/**
 * What a route refers to that is not in the cluster, and what it collides with
 * there: the errors among the lints about a cluster.
 * @param unread kinds of objects of which nothing is known
 */
export function lintSurroundings(
  route: InferenceRoute,
  cluster: Cluster,
  unread: ReadonlySet<string>,
): Finding[] {
  const known = clusterLints.filter(
    ({ kinds, severity }) => severity === "error" && !kinds.some((each) => unread.has(each)),
  );
  return findings(known, route, cluster);
}

function findings(
  asked: readonly Lint[],
  route: InferenceRoute,
  cluster: Cluster | undefined,
): Finding[] {
  return asked.flatMap(({ check, id, reason, severity }) =>
    check(route, cluster).map((remark) => ({ id, severity, reason, ...remark })),
  );
}
