import type { Check } from "../../gen/weir/v1/rollout_pb.ts";
import { counterNames, histogramNames, type Observation } from "../../report/index.ts";

/**
 * Answers of these kinds are failures of the variant, for the success rate, beside those that
 * contain an error despite a success status. A 501 is none of them: it says that this
 * server has no such endpoint. A "fallback" is a success of another variant, whose pods answered.
 */
const failedClasses = ["5xx", "none", "fallback"];
/** What a variant does not want to answer; what it refuses alike by both is their clients' making. */
const refusedClasses = ["4xx", "501"];

/** What a rate counts. */
export interface RateCheck {
  counter: string;
  /** Labels that are bad; undefined: each label is held against its own share. */
  bad: readonly string[] | undefined;
  /** Another counter, of answers that are bad in spite of their label. */
  alsoBad?: string;
  /** Percentage points. */
  tolerance: number;
  /** Judged by the complement: a success rate of 99.7 % is 0.3 % of failed responses. */
  inverted?: true;
}

export const rateChecks: ReadonlyMap<string, RateCheck> = new Map([
  [
    "success-rate",
    {
      counter: counterNames.responses,
      bad: failedClasses,
      alsoBad: counterNames.failedAnswers,
      tolerance: 2,
      inverted: true,
    },
  ],
  ["refusals", { counter: counterNames.responses, bad: refusedClasses, tolerance: 2 }],
  ["cut-streams", { counter: counterNames.streams, bad: ["cut"], tolerance: 2 }],
  ["finish-reasons", { counter: counterNames.finishes, bad: undefined, tolerance: 10 }],
]);

/** Requests that wait for an answer: see ./hangs. */
export const hangs = "hangs";
const hangTolerance = 2;

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
  hangs,
  "cut-streams",
  "finish-reasons",
  "first-token",
]);

/** Percent. The tail of a few hundred answers varies by itself as its middle does not. */
const defaultTolerance = 25;
const tailTolerance = 50;
const tailPercentile = 90;
const defaultPercentile = 95;

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
  { metric: "refusals", percentile: 0 },
  { metric: hangs, percentile: 0 },
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
      tolerance: toleranceOf(each.metric, each.percentile),
      named: each.metric === "success-rate",
    }));
  const wanted = checks.map(({ metric, percentile = defaultPercentile, tolerance }) => ({
    metric,
    percentile,
    tolerance: tolerance ?? toleranceOf(metric, percentile),
    named: true,
  }));
  if (wanted.some(({ metric }) => metric === "success-rate")) return wanted;
  const tolerance = toleranceOf("success-rate", 0);
  return [{ metric: "success-rate", percentile: 0, tolerance, named: true }, ...wanted];
}

/** Whether anything was reported that a check could be made of. */
export function hasData({ counters, distributions }: Observation, metric: string): boolean {
  const names: (string | undefined)[] =
    // Where all requests hang there is no answer.
    metric === hangs
      ? [counterNames.responses, counterNames.waited]
      : [
          rateChecks.get(metric)?.counter ??
            timeChecks.get(metric) ??
            amountChecks.get(metric)?.histogram,
        ];
  return (
    [...counters.values()].some(({ name, total }) => names.includes(name) && total > 0) ||
    [...distributions.values()].some(
      ({ name, distribution: { zeros, buckets } }) =>
        names.includes(name) && (zeros > 0 || buckets.size > 0),
    )
  );
}

function toleranceOf(metric: string, percentile: number): number {
  if (metric === hangs) return hangTolerance;
  const rate = rateChecks.get(metric);
  if (rate) return rate.tolerance;
  return timeChecks.has(metric) && percentile > tailPercentile ? tailTolerance : defaultTolerance;
}
