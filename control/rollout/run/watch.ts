import type { RolloutSpec, RolloutState, Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import type { Applied, RouteState } from "../../gen/weir/v1/service_pb.ts";
import {
  counterNames,
  during,
  type Observation,
  totalOf,
  type Voices,
} from "../../report/index.ts";
import { agrees, type ShareAgreement } from "../../route/index.ts";
import { rateChecks } from "../judge/checks.ts";
import type { Window } from "../judge/compare.ts";
import { judge } from "../judge/judge.ts";
import { keepPasses } from "../judge/kept-passes.ts";
import { createSplit, type Split } from "../judge/split-check.ts";
import { noTenants, type TenantWindow, tenantsIn } from "../judge/tenants.ts";
import { sideOf } from "../judge/trials.ts";
import { loneVoice, weigh } from "../judge/voices.ts";
import type { GateStatus, StepInputs } from "../machine/machine.ts";
import { proofOf } from "../machine/proof.ts";
import { showTime } from "../plan/duration.ts";
import { type Stage, stageAt } from "../plan/stages.ts";

/** No report for this long means that the proxies do not report, not that nothing happens. */
const silenceMs = 10_000;
const defaultRequestsPerUser = 4;

/** What is known of the outside at one moment. */
export interface Facts {
  route: RouteState | undefined;
  applied: Pick<Applied, "applied" | "wanted" | "behind">;
  observation: Observation;
  /** Of each tenant that is measured by itself. */
  tenants: ReadonlyMap<string, Observation>;
  /** How much of the observation each proxy reported. */
  voices?: Voices;
  /** Since any proxy's filters reported. */
  silentMs: number;
  queries: readonly Verdict[];
  gates: readonly GateStatus[];
  /** Message for a fleet without a proxy. */
  nobody?: string;
}

/** Follows one step of one rollout; everything in it is forgotten with the process. */
export interface Watch {
  /** What is followed: another step, phase or route has a watch of its own. */
  readonly key: string;
  look(state: RolloutState, facts: Facts, nowMs: number, sinceGrowthMs: number): StepInputs;
  /** What the variants' users got since the step was proven. */
  window(): Window | undefined;
}

export function watchKey({ step, phase }: RolloutState, route: RouteState | undefined): string {
  return `${step} ${phase} ${route?.etag ?? "gone"}`;
}

/**
 * @param startMs by a clock that never jumps
 * @param agedMs how long the step has been going on by the stored time
 */
export function createWatch(key: string, startMs: number, agedMs: number): Watch {
  let mark: Observation | undefined;
  let markMs = 0;
  let split: Split | undefined;
  let tenantMarks: ReadonlyMap<string, Observation> = new Map();
  let voiceMarks: Voices = new Map();
  const passed = new Set<string>();
  let provenAtMs: number | undefined;
  let lastProvenMs = startMs;
  let unclearSinceMs: number | undefined;
  let blindSinceMs: number | undefined;
  let seen: Window | undefined;

  function windowSince(spec: RolloutSpec, now: Observation, tiers?: readonly string[]) {
    if (mark === undefined) return undefined;
    const since = during(mark, now);
    seen = {
      canary: sideOf(since, spec.canary, tiers),
      stable: sideOf(since, spec.stable, tiers),
    };
    return { since, sides: seen };
  }

  return {
    key,
    window: () => seen,
    look(state, facts, nowMs, sinceGrowthMs) {
      const spec = state.rollout?.spec as RolloutSpec;
      const stage = state.phase === "rolling-back" ? undefined : stageAt(spec, state.step);
      const { applied, wanted } = facts.applied;
      const enough = wanted > 0 && (100 * applied) / wanted >= (spec.proof?.proxies ?? 100);
      // From here on every request that is counted was sent by the step's own weights.
      if (enough && mark === undefined) {
        mark = facts.observation;
        markMs = nowMs;
        split = createSplit(mark);
        tenantMarks = facts.tenants;
        voiceMarks = facts.voices ?? voiceMarks;
      }
      const window = windowSince(spec, facts.observation, stage?.tiers);
      const share =
        split && stage && applied === wanted && splitByWeight(stage, facts.route)
          ? split(facts.observation, (since) => shareOf(state, spec, facts.route, since))
          : undefined;
      const proof = proofOf(spec.proof, facts, share, nowMs - lastProvenMs);
      if (proof.status === "proven") {
        lastProvenMs = nowMs;
        provenAtMs ??= nowMs;
      }
      const verdicts =
        window && stage && provenAtMs !== undefined
          ? verdictsOf(state, spec, stage, window.sides, facts, { voices: voiceMarks, passed })
          : [];
      const tenants =
        window && stage && stage.weight > 0 && provenAtMs !== undefined
          ? tenantsIn({
              analysis: spec.analysis,
              window: window.sides,
              tenants: tenantWindows(spec, facts, tenantMarks),
              judged: (sides) => judgedAt(state, spec, stage, sides),
              counts: (verdict) => countsAt(stage, verdict),
              pinned: state.pins.length,
              countedMs: nowMs - markMs,
            })
          : noTenants;
      const unclear = verdicts.some(({ outcome }) => outcome === "inconclusive");
      unclearSinceMs = unclear ? (unclearSinceMs ?? nowMs) : undefined;
      const blind = verdicts.some(({ outcome }) => outcome === "missing");
      blindSinceMs = blind ? (blindSinceMs ?? nowMs) : undefined;
      return {
        route: facts.route,
        proof,
        provenMs: provenAtMs === undefined ? undefined : nowMs - provenAtMs,
        stepMs: agedMs + nowMs - startMs,
        sinceGrowthMs,
        verdicts,
        tenants,
        inconclusiveMs: unclearSinceMs === undefined ? 0 : nowMs - unclearSinceMs,
        blindMs: blindSinceMs === undefined ? 0 : nowMs - blindSinceMs,
        gates: facts.gates,
      };
    },
  };
}

/**
 * Whether the requests follow the weights alone. They are not counted by variant and
 * tier both where they are split, nor apart from those of pinned tenants and of
 * conversations that have begun.
 */
function splitByWeight({ tiers }: Stage, route: RouteState | undefined): boolean {
  const { pin = {}, conversations } = route?.route?.spec?.canary ?? {};
  return tiers === undefined && conversations === undefined && Object.keys(pin).length === 0;
}

/** What each tenant got that follows the weights. */
function tenantWindows(
  spec: RolloutSpec,
  { tenants, route }: Facts,
  marks: ReadonlyMap<string, Observation>,
): Map<string, TenantWindow> {
  const pins = route?.route?.spec?.canary?.pin ?? {};
  const windows = new Map<string, TenantWindow>();
  for (const [tenant, now] of tenants) {
    if (tenant in pins) continue;
    const earlier = marks.get(tenant);
    const since = earlier ? during(earlier, now) : now;
    windows.set(tenant, {
      canary: sideOf(since, spec.canary),
      stable: sideOf(since, spec.stable),
      stableEver: sideOf(now, spec.stable),
    });
  }
  return windows;
}

/** How the requests are split, where the weights alone decide that. */
function shareOf(
  state: RolloutState,
  spec: RolloutSpec,
  route: RouteState | undefined,
  since: Observation,
): ShareAgreement {
  const canary = totalOf(since, counterNames.canaryRequests, { label: spec.canary });
  const stable = totalOf(since, counterNames.canaryRequests, { label: spec.stable });
  const pool = state.safeWeights[spec.stable] || 100;
  return agrees(
    (100 * state.weight) / pool,
    canary,
    canary + stable,
    spec.proof?.requestsPerUser ?? defaultRequestsPerUser,
    route?.route?.spec?.canary?.force ? "least" : "both",
  );
}

function verdictsOf(
  state: RolloutState,
  spec: RolloutSpec,
  stage: Stage,
  sides: Window,
  { applied: { wanted }, silentMs, queries, voices = new Map() }: Facts,
  before: { voices: Voices; passed: Set<string> },
): Verdict[] {
  if (stage.weight === 0 && stage.kind !== "header-only") return [...queries];
  const verdicts = judgedAt(state, spec, stage, sides);
  keepPasses(verdicts, before.passed);
  weigh(verdicts, loneVoice(spec.analysis, spec.canary, before.voices, voices, wanted));
  if (silentMs > silenceMs)
    for (const verdict of verdicts) {
      verdict.outcome = "missing";
      verdict.message = `no proxy has reported for ${showTime(silentMs)}`;
    }
  return [...verdicts, ...queries];
}

function judgedAt(state: RolloutState, spec: RolloutSpec, stage: Stage, sides: Window): Verdict[] {
  return judge(spec.analysis, sides, state.verdicts).filter((each) => countsAt(stage, each));
}

/** In a warm-up slow answers do not count: caches fill and kernels compile. */
function countsAt({ kind }: Stage, { check }: Verdict): boolean {
  return kind !== "warmup" || rateChecks.has(check.split(" ", 1)[0] ?? "");
}
