import type { Check } from "../gen/weir/v1/rollout_pb.ts";
import { counterNames, histogramNames, type Observation } from "../report/index.ts";

/** Answers of these kinds are failures of the variant, for the success rate. */
const failedClasses = ["5xx", "none"];

/** What a rate counts. */
export interface RateCheck {
  counter: string;
  /** Labels that are bad; undefined: each label is held against its own share. */
  bad: readonly string[] | undefined;
  /** Percentage points. */
  tolerance: number;
  /** Shown as the share of the others: a success rate of 99.7 % is 0.3 % of failed answers. */
  inverted?: true;
}

export const rateChecks: ReadonlyMap<string, RateCheck> = new Map([
  [
    "success-rate",
    { counter: counterNames.responses, bad: failedClasses, tolerance: 2, inverted: true },
  ],
  ["refusals", { counter: counterNames.responses, bad: ["4xx"], tolerance: 2 }],
  ["cut-streams", { counter: counterNames.streams, bad: ["cut"], tolerance: 2 }],
  ["finish-reasons", { counter: counterNames.finishes, bad: undefined, tolerance: 10 }],
]);

/** Distributions of times, in ms: more is worse. */
export const timeChecks: ReadonlyMap<string, string> = new Map([
  ["first-byte", histogramNames.timeToFirstByte],
  ["first-token", histogramNames.timeToFirstToken],
  ["token-gap", histogramNames.tokenGap],
]);

/** Distributions of amounts, and which way is worse. */
export interface AmountCheck {
  histogram: string;
  unit: string;
  worse: "less" | "either";
}

export const amountChecks: ReadonlyMap<string, AmountCheck> = new Map([
  [
    "tokens-per-second",
    { histogram: histogramNames.tokensPerSecond, unit: "tokens/s", worse: "less" },
  ],
  ["output-tokens", { histogram: histogramNames.outputTokens, unit: "tokens", worse: "either" }],
]);

/** Checks of what is measured for each tenant too. */
export const tenantMetrics: ReadonlySet<string> = new Set([
  "success-rate",
  "refusals",
  "cut-streams",
  "finish-reasons",
  "first-token",
]);

/** Percent. */
export const defaultTolerance = 25;
export const defaultPercentile = 95;

/** One comparison that is made: a check with its defaults filled in. */
export interface WantedCheck {
  metric: string;
  percentile: number;
  tolerance: number;
  /** Named in the document, so that it may not go without data. */
  named: boolean;
}

const defaults: readonly Pick<WantedCheck, "metric" | "percentile">[] = [
  { metric: "success-rate", percentile: 0 },
  { metric: "cut-streams", percentile: 0 },
  { metric: "finish-reasons", percentile: 0 },
  { metric: "first-token", percentile: 50 },
  { metric: "first-token", percentile: 95 },
  { metric: "token-gap", percentile: 50 },
  { metric: "token-gap", percentile: 95 },
];

/** The comparisons of a rollout. The success rate is always among them. */
export function wantedChecks(checks: readonly Check[]): WantedCheck[] {
  if (checks.length === 0)
    return defaults.map((each) => ({
      ...each,
      tolerance: toleranceOf(each.metric),
      named: each.metric === "success-rate",
    }));
  const wanted = checks.map(({ metric, percentile, tolerance }) => ({
    metric,
    percentile: percentile ?? defaultPercentile,
    tolerance: tolerance ?? toleranceOf(metric),
    named: true,
  }));
  if (wanted.some(({ metric }) => metric === "success-rate")) return wanted;
  const tolerance = toleranceOf("success-rate");
  return [{ metric: "success-rate", percentile: 0, tolerance, named: true }, ...wanted];
}

/** Whether anything was reported that a check could be made of. */
export function hasData({ counters, distributions }: Observation, metric: string): boolean {
  const name =
    rateChecks.get(metric)?.counter ??
    timeChecks.get(metric) ??
    amountChecks.get(metric)?.histogram;
  return (
    [...counters.values()].some((each) => each.name === name && each.total > 0) ||
    [...distributions.values()].some(
      (each) =>
        each.name === name && (each.distribution.zeros > 0 || each.distribution.buckets.size > 0),
    )
  );
}

function toleranceOf(metric: string): number {
  return rateChecks.get(metric)?.tolerance ?? defaultTolerance;
}
