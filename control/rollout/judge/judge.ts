import { create } from "@bufbuild/protobuf";
import { type Analysis, type Verdict, VerdictSchema } from "../../gen/weir/v1/rollout_pb.ts";
import { counterNames, totalOf } from "../../report/index.ts";
import { hasData, wantedChecks } from "./checks.ts";
import { type Comparison, comparisons, fewest, type Window } from "./compare.ts";
import { evidence } from "./sequential.ts";
import { messageOf } from "./verdict-message.ts";

/** From this much evidence a check fails: one false alarm in 10,000, however often one looks. */
export const failsAt = 10_000;
/** From this much it passes, once the sample is large enough. */
export const passesAt = 20;
const defaultMinimumSample = 200;

/**
 * Compares the canary with the stable variant.
 *
 * Every comparison is one of shares: of failed answers, of one finish reason, or of
 * answers slower than the stable variant's percentile plus tolerance, of which by
 * the meaning of a percentile there may be a fixed share.
 *
 * @param earlier verdicts of an earlier step: their limits serve where the stable variant
 *   has hardly any users left to compare with
 */
export function judge(
  analysis: Analysis | undefined,
  window: Window,
  earlier: readonly Verdict[],
): Verdict[] {
  const minimum = analysis?.minimumSample ?? defaultMinimumSample;
  const answers = totalOf(window.canary, counterNames.responses);
  return wantedChecks(analysis?.checks ?? []).flatMap((check) => {
    if (
      !check.named &&
      !hasData(window.canary, check.metric) &&
      !hasData(window.stable, check.metric)
    )
      return [];
    return comparisons(check, window, earlier).map((each) => verdictOf(each, minimum, answers));
  });
}

function verdictOf(comparison: Comparison, minimum: number, answers: number): Verdict {
  const { sample, stableSample, failShare, passShare, expected } = comparison;
  const { passSample = sample } = comparison;
  const against = evidence("above", sample.hits, sample.trials, failShare);
  // A share that may be 1 cannot be passed.
  const inFavour =
    passShare >= 1
      ? passesAt
      : evidence("below", passSample.hits, passSample.trials, passShare, expected);
  const enough = sample.trials >= minimum && stableSample >= minimum;
  const fails = against >= failsAt && Math.min(sample.trials, stableSample) >= fewest;
  // Many answers, and of this kind nothing: it is not measured, which is no reason to trust it.
  const missing = sample.trials === 0 && answers >= minimum;
  const passes = enough && inFavour >= passesAt;
  const outcome = fails ? "fail" : passes ? "pass" : missing ? "missing" : "inconclusive";
  const verdict = create(VerdictSchema, {
    check: comparison.check,
    outcome,
    canary: comparison.canary,
    stable: comparison.stable,
    limit: comparison.limit,
    canarySample: sample.trials,
    stableSample,
    against,
    inFavour,
    unit: comparison.unit,
  });
  verdict.message = messageOf(verdict, minimum);
  return verdict;
}
