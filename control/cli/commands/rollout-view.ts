import type { RolloutProgress, RolloutState, Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import { showStage, stageAt } from "../../rollout/index.ts";
import { routeName } from "../../route/index.ts";
import { plain } from "../../telemetry/plain.ts";

/** A rollout on a few lines: where it is, what was measured, what comes next. */
export function showProgress(progress: RolloutProgress): string {
  const { state, verdicts, waitingFor, next, proven, wanted } = progress;
  if (state === undefined) return "no rollout";
  const shown = verdicts.length > 0 ? verdicts : state.verdicts;
  return [
    showHead(progress),
    `  ${plain(state.reason)}`,
    ...(wanted > 0
      ? [
          `  applied on ${proven} of ${wanted}; responses: ${progress.canaryAnswers} from the canary, ${progress.stableAnswers} from stable`,
        ]
      : []),
    ...showPins(state),
    ...shown.map((each) => `  ${showVerdict(each)}`),
    ...waitingFor.map((each) => `  waiting for ${plain(each)}`),
    ...(next ? [`  next: ${plain(next)}`] : []),
  ].join("\n");
}

/** The tenants that it keeps on the stable variant, a line for each. */
export function showPins({ pins, phase, rollout }: RolloutState): string[] {
  const wentBack = phase === "rolling-back" || phase === "rolled-back";
  const how = wentBack ? "was pinned" : "pinned";
  return pins.map(
    ({ tenant, reason }) =>
      `  ${how} to ${rollout?.spec?.stable}: ${plain(tenant)} (${plain(reason)})`,
  );
}

/** Name, phase and step on one line. */
export function showHead({ state }: RolloutProgress): string {
  const { rollout, phase = "", step = 0, etag = "" } = state ?? {};
  const spec = rollout?.spec;
  const stage = spec ? stageAt(spec, step) : undefined;
  const where = spec && stage ? `, ${showStage(spec, stage)}` : "";
  return `${routeName(rollout)}: ${phase}${where} (etag ${etag})`;
}

/** Outcome, numbers and evidence on one line. */
export function showVerdict({ outcome, message, against, inFavour }: Verdict): string {
  const evidence =
    against > 1 || inFavour > 1 ? ` [for ${short(inFavour)}, against ${short(against)}]` : "";
  return `${outcome.padEnd(12)} ${plain(message)}${evidence}`;
}

function short(value: number): string {
  return value >= 1000 ? value.toExponential(0) : value.toFixed(value >= 10 ? 0 : 1);
}
