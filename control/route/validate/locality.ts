import type { Locality } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

const topologyLabels = [
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.istio.io/subzone",
];

/** Checks which zones get which requests. */
export function checkLocality(
  { distribute, failover, failoverPriority }: Locality,
  report: Report,
): void {
  const path = "spec.resilience.locality";
  if (distribute.length > 0 && failover.length > 0)
    report("one-of", path, "locality must have at most one of distribute, failover");
  if (failover.length > 0)
    failoverPriority.forEach((label, index) => {
      if (topologyLabels.includes(label))
        report(
          "failover-priority",
          `${path}.failoverPriority[${index}]`,
          `failover already orders by ${label}: leave it out`,
        );
    });
  distribute.forEach(({ from, to }, index) => {
    const sum = Object.values(to).reduce((total, share) => total + share, 0);
    if (sum !== 100)
      report(
        "shares-sum",
        `${path}.distribute[${index}].to`,
        `shares of ${from} must sum to exactly 100, not ${sum}`,
      );
    for (const [locality, share] of Object.entries(to))
      if (share < 1)
        report(
          "out-of-range",
          `${path}.distribute[${index}].to.${locality}`,
          `share of ${locality} must be at least 1: leave it out for no share`,
        );
    checkOverlap(Object.keys(to), `${path}.distribute[${index}].to`, report);
  });
  checkOverlap(
    distribute.map(({ from }) => from),
    `${path}.distribute`,
    report,
  );
}

/** "a/*" and "a/b" in one list are ambiguous. */
function checkOverlap(localities: string[], path: string, report: Report): void {
  for (const locality of localities)
    if (!/^(?:\*|[^/*]+(?:\/(?:\*|[^/*]+(?:\/(?:\*|[^/*]+))?))?)$/.test(locality))
      report(
        "bad-value",
        path,
        `locality "${locality}" must be region/zone/subzone, with "*" only at the end`,
      );
  localities.forEach((one, index) => {
    const twin = localities.find((other, at) => at < index && covers(one, other));
    if (twin !== undefined)
      report("locality-overlap", path, `localities ${twin} and ${one} overlap`);
  });
}

function covers(a: string, b: string): boolean {
  const [x, y] = [a.split("/"), b.split("/")];
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    if (x[i] === "*" || y[i] === "*" || x[i] === undefined || y[i] === undefined) return true;
    if (x[i] !== y[i]) return false;
  }
  return true;
}
