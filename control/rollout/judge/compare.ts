import type { Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import { counterNames, labelsOf, type Observation, quantile, totalOf } from "../../report/index.ts";
import {
  amountChecks,
  hangs,
  type RateCheck,
  rateChecks,
  timeChecks,
  type WantedCheck,
} from "./checks.ts";
import { hangsAmong, slowestKept, slowestOf } from "./hangs.ts";
import { boundOfShare } from "./sequential.ts";
import { above, below, sampleOf, type Tally, tally } from "./trials.ts";

/** Minimum number of responses for a failing verdict. */
export const fewest = 20;
/** Standard deviations that the stable variant's own numbers may be off. */
const stableZ = 3;
/**
 * The same for who passes, where a little is enough that one in 20 at the limit does at
 * the most: of shares, whose tolerance is added, and of values, by which it is multiplied.
 */
const passZ = { share: 0.5, value: 1 };
/** Differences below this many milliseconds are imperceptible and never count as worse. */
const slackMs = 5;

/** What the two variants' users got in the same window. */
export interface Window {
  canary: Observation;
  stable: Observation;
}

/** One share against its limits. */
export interface Comparison {
  check: string;
  unit: string;
  canary: number;
  stable: number;
  /** As shown: a percentage, or a value. */
  limit: number;
  sample: Tally;
  stableSample: number;
  /** Shares above which it fails, and below which it passes. */
  failShare: number;
  passShare: number;
  /** Tally against the limit to pass, where that is another one. */
  passSample?: Tally;
  /** Share that a canary has which is as the stable variant is. */
  expected?: number;
}

/** A check of the canary against the stable variant: one comparison, or one of each label or side. */
export function comparisons(
  check: WantedCheck,
  window: Window,
  earlier: readonly Verdict[],
): Comparison[] {
  if (check.metric === hangs) return [hangComparison(check, window, earlier)];
  const rate = rateChecks.get(check.metric);
  if (rate) {
    const { counter, bad } = rate;
    if (bad) return [rateComparison(check.metric, check, window, rate, bad, earlier)];
    const labels = [
      ...new Set([...labelsOf(window.canary, counter), ...labelsOf(window.stable, counter)]),
    ].sort();
    return (labels.length > 0 ? labels : ["stop"]).map((label) =>
      rateComparison(`${check.metric} ${label}`, check, window, rate, [label], earlier),
    );
  }
  const time = timeChecks.get(check.metric);
  if (time) return [timeComparison(check, window, time, earlier)];
  return amountComparisons(check, window, earlier);
}

function rateComparison(
  name: string,
  { tolerance }: WantedCheck,
  { canary, stable }: Window,
  { counter, alsoBad, inverted }: RateCheck,
  labels: readonly string[],
  earlier: readonly Verdict[],
): Comparison {
  const sample = tally(canary, counter, labels, alsoBad);
  const base = tally(stable, counter, labels, alsoBad);
  return shareComparison(name, sample, base, { tolerance, inverted: inverted === true, earlier });
}

/** Requests that wait for longer than the stable variant's slowest did: they are reported before they end. */
function hangComparison(
  { tolerance }: WantedCheck,
  { canary, stable }: Window,
  earlier: readonly Verdict[],
): Comparison {
  const enough = totalOf(stable, counterNames.responses) >= fewest;
  const slowest = (enough ? undefined : slowestKept(earlier)) ?? slowestOf(stable);
  return shareComparison(
    `${hangs} over ${slowest}`,
    hangsAmong(canary, slowest),
    hangsAmong(stable, slowest),
    { tolerance, inverted: false, earlier },
  );
}

function shareComparison(
  name: string,
  sample: Tally,
  base: Tally,
  {
    tolerance,
    inverted,
    earlier,
  }: { tolerance: number; inverted: boolean; earlier: readonly Verdict[] },
): Comparison {
  const shown = (share: number) => 100 * (inverted ? 1 - share : share);
  const kept = base.trials < fewest ? limitOf(earlier, name) : undefined;
  const share = base.trials > 0 ? base.hits / base.trials : 0;
  const failShare =
    kept === undefined
      ? boundOfShare(base.hits, base.trials, stableZ) + tolerance / 100
      : shown(kept.limit / 100) / 100;
  return {
    check: name,
    unit: "percent",
    canary: sample.trials > 0 ? shown(sample.hits / sample.trials) : 0,
    stable: kept?.stable ?? shown(share),
    limit: shown(failShare),
    sample,
    stableSample: kept?.stableSample ?? base.trials,
    failShare,
    passShare:
      kept === undefined
        ? boundOfShare(base.hits, base.trials, -passZ.share) + tolerance / 100
        : failShare,
    expected: kept === undefined ? expectedOf(base) : shown(kept.stable / 100) / 100,
  };
}

/** The share that answers like these have, of which none or all may happen to be of a kind. */
function expectedOf({ hits, trials }: Tally): number {
  return (hits + 0.5) / (trials + 1);
}

function timeComparison(
  { metric, percentile, tolerance }: WantedCheck,
  window: Window,
  histogram: string,
  earlier: readonly Verdict[],
): Comparison {
  const name = `${metric} p${percentile}`;
  const share = percentile / 100;
  const canary = sampleOf(window.canary, histogram);
  const stable = sampleOf(window.stable, histogram);
  const kept = stable.answers < fewest ? limitOf(earlier, name) : undefined;
  const worse = (ms: number) => ms * (1 + tolerance / 100) + slackMs;
  const deviation = Math.sqrt((share * (1 - share)) / Math.max(1, stable.answers));
  const at = (z: number) =>
    quantile(stable.values, Math.min(1, Math.max(0, share + z * deviation)));
  const limit = kept?.limit ?? worse(at(stableZ) ?? Number.POSITIVE_INFINITY);
  const passLimit = kept?.limit ?? worse(at(-passZ.value) ?? 0);
  return {
    check: name,
    unit: "ms",
    canary: quantile(canary.values, share) ?? 0,
    stable: kept?.stable ?? quantile(stable.values, share) ?? 0,
    limit: Number.isFinite(limit) ? limit : 0,
    sample: above(canary, limit),
    stableSample: kept?.stableSample ?? stable.answers,
    failShare: 1 - share,
    passShare: 1 - share,
    passSample: above(canary, passLimit),
    ...(kept ? {} : { expected: expectedOf(above(stable, passLimit)) }),
  };
}

/** Half of the answers have less than the median, and half have more: too many on a side is a change. */
function amountComparisons(
  { metric, tolerance }: WantedCheck,
  window: Window,
  earlier: readonly Verdict[],
): Comparison[] {
  const { histogram, unit, worse } = amountChecks.get(metric) ?? {
    histogram: "",
    unit: "",
    worse: "either",
  };
  const canary = sampleOf(window.canary, histogram);
  const stable = sampleOf(window.stable, histogram);
  const deviation = Math.sqrt(0.25 / Math.max(1, stable.answers));
  const [z, near] = [stableZ * deviation, passZ.value * deviation];
  const at = (share: number) => quantile(stable.values, Math.min(1, Math.max(0, share))) ?? 0;
  const factor = 1 + tolerance / 100;
  const sides = [
    { side: "low", beyond: below, fail: at(0.5 - z) / factor, pass: at(0.5 + near) / factor },
    ...(worse === "either"
      ? [{ side: "high", beyond: above, fail: at(0.5 + z) * factor, pass: at(0.5 - near) * factor }]
      : []),
  ];
  return sides.map(({ side, beyond, fail, pass }) => {
    const name = worse === "either" ? `${metric} too ${side}` : metric;
    const kept = stable.answers < fewest ? limitOf(earlier, name) : undefined;
    const limit = kept?.limit ?? fail;
    return {
      check: name,
      unit,
      canary: quantile(canary.values, 0.5) ?? 0,
      stable: kept?.stable ?? at(0.5),
      limit,
      sample: beyond(canary, limit),
      stableSample: kept?.stableSample ?? stable.answers,
      failShare: 0.5,
      passShare: 0.5,
      passSample: beyond(canary, kept?.limit ?? pass),
      ...(kept ? {} : { expected: expectedOf(beyond(stable, pass)) }),
    };
  });
}

function limitOf(earlier: readonly Verdict[], check: string): Verdict | undefined {
  return earlier.find(
    (each) => each.tenant === "" && each.check === check && each.stableSample >= fewest,
  );
}
