import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { Cluster } from "./cluster.ts";

/** How much a finding matters: errors break traffic, warnings cost answers or money, info is advice. */
export const severities = ["error", "warning", "info"] as const;

/** How much a finding matters, of {@link severities}. */
export type Severity = (typeof severities)[number];

/** A finding of a lint at one place of a route. */
export interface Remark {
  /** Where, in the document's own words. */
  path: string;
  /** Lower case; names the field, the value and what is wrong with it. */
  message: string;
}

/** A rule that a valid route may still break. */
export interface Lint {
  /** Stable identifier, e.g. "retries-not-idempotent". */
  id: string;
  severity: Severity;
  /** Why it matters, for people who meet it for the first time. */
  reason: string;
  /** The places that break it. `cluster` is there when the caller knows one. */
  check: (route: InferenceRoute, cluster: Cluster | undefined) => Remark[];
}

/** A remark with the lint that makes it. */
export interface Finding extends Remark {
  id: string;
  severity: Severity;
  reason: string;
}

/** Whether a severity is at least as bad as another. */
export function atLeast(severity: Severity, threshold: Severity): boolean {
  return severities.indexOf(severity) <= severities.indexOf(threshold);
}
