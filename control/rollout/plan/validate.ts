import type { Rollout, RolloutSpec } from "../../gen/weir/v1/rollout_pb.ts";
import type { InferenceRoute, Variant } from "../../gen/weir/v1/route_pb.ts";
import { countsTokens, type Problem, toBuckets, toPercent } from "../../route/index.ts";
import { timeChecks } from "../judge/checks.ts";
import { goesByTier } from "./route-for-step.ts";

/** What the control service offers to rollouts besides the proxies' reports. */
export interface Sources {
  /** A Prometheus to ask. */
  prometheus: boolean;
  /** Names of webhooks. */
  webhooks: readonly string[];
  /** Whether it reads the pods' own metrics. */
  pods: boolean;
}

/** What is wrong with a rollout of a route, apart from its shape. */
export function validateRollout(
  rollout: Rollout,
  route: InferenceRoute,
  sources: Sources,
): Problem[] {
  const spec = rollout.spec as RolloutSpec;
  const problems = variantProblems(spec, route);
  if (problems.length > 0) return problems;
  return [
    ...weightProblems(spec, route),
    ...stepProblems(spec, route),
    ...tierProblems(spec, route),
    ...saltProblems(spec, route),
    ...measuringProblems(route),
    ...analysisProblems(spec, sources),
  ];
}

/** Whether the proxies measure a route's answers, by which every weight above 0 is judged. */
export function isMeasured({ spec }: InferenceRoute): boolean {
  return spec !== undefined && countsTokens(spec);
}

/** Every rollout has a weight above 0: there is none that needs no answers. */
function measuringProblems(route: InferenceRoute): Problem[] {
  if (isMeasured(route)) return [];
  return [
    {
      code: "not-measured",
      path: "spec.analysis",
      message:
        "the proxies do not measure this route's responses, so no step could pass: set spec.tokens.measure of the route to true",
    },
  ];
}

function variantProblems(spec: RolloutSpec, route: InferenceRoute): Problem[] {
  const variants = route.spec?.variants ?? [];
  const problems: Problem[] = [];
  for (const member of ["canary", "stable"] as const) {
    const name = spec[member];
    const path = `spec.${member}`;
    if (!variants.some((each) => each.name === name))
      problems.push({
        code: "unknown-variant",
        path,
        message: `variant "${name}" is not one of ${variants.map((each) => each.name).join(", ")}`,
      });
    else if (name === route.spec?.shadow?.variant)
      problems.push({
        code: "shadow-weight",
        path,
        message: `variant ${name} receives only shadow traffic: remove spec.shadow from the route first`,
      });
  }
  if (spec.canary === spec.stable)
    problems.push({
      code: "same-variant",
      path: "spec.stable",
      message: `stable and canary must be different variants, both are ${spec.stable}`,
    });
  if (problems.length === 0 && route.spec?.canary === undefined)
    problems.push({
      code: "no-canary",
      path: "spec.canary",
      message:
        "the route has no spec.canary.stickyBy: without it users would change variant at random",
    });
  return problems;
}

/** Percent of the users that canary and stable share; other variants keep theirs. */
export function poolOf(spec: RolloutSpec, route: InferenceRoute): number {
  const variants = route.spec?.variants ?? [];
  const weight = (name: string) => toBuckets(find(variants, name)?.weight ?? 0);
  return toPercent(weight(spec.canary) + weight(spec.stable));
}

function weightProblems(spec: RolloutSpec, route: InferenceRoute): Problem[] {
  const pool = poolOf(spec, route);
  const problems: Problem[] = [];
  const tooMuch = (path: string, weight: number) => {
    if (weight > pool)
      problems.push({
        code: "weight-beyond-pool",
        path,
        message: `weight ${weight} is more than the ${pool} % that ${spec.canary} and ${spec.stable} share`,
      });
  };
  if (spec.warmup) tooMuch("spec.warmup.weight", spec.warmup.weight);
  let before = spec.warmup?.weight ?? 0;
  spec.steps.forEach(({ action }, i) => {
    if (action.case !== "weight") return;
    const path = `spec.steps[${i}].weight`;
    tooMuch(path, action.value);
    if (action.value < before)
      problems.push({
        code: "step-back",
        path,
        message: `weight ${action.value} is less than ${before} of the step before: weights must not decrease`,
      });
    before = action.value;
  });
  if (!spec.steps.some(({ action }) => action.case === "weight" && action.value > 0))
    problems.push({
      code: "missing-field",
      path: "spec.steps",
      message: "steps must have at least one weight above 0",
    });
  return problems;
}

function stepProblems(spec: RolloutSpec, route: InferenceRoute): Problem[] {
  const problems: Problem[] = [];
  spec.steps.forEach(({ action, hold }, i) => {
    const path = `spec.steps[${i}]`;
    if (hold !== undefined && action.case !== "weight")
      problems.push({
        code: "not-with",
        path: `${path}.hold`,
        message: "hold is only allowed in a weight step",
      });
    if (action.case === "headerOnly" && route.spec?.canary?.force === undefined)
      problems.push({
        code: "no-force",
        path: `${path}.headerOnly`,
        message: "the route has no spec.canary.force, so no request could reach the variant",
      });
    if (action.case === "shadow" && action.value.duration && !spec.analysis?.queries.length)
      problems.push({
        code: "no-evidence",
        path: `${path}.shadow.duration`,
        message:
          "responses to copies are dropped before Weir can measure them: add analysis.queries, or leave out duration so that the step waits for a promotion",
      });
  });
  return problems;
}

/** Another salt lays everyone out anew, which is no move only where all are on one variant. */
function saltProblems(spec: RolloutSpec, route: InferenceRoute): Problem[] {
  const others = (route.spec?.variants ?? []).filter(
    ({ name, weight }) => name !== spec.stable && weight > 0,
  );
  if (spec.salt !== "fresh" || others.length === 0) return [];
  const shares = others.map(({ name, weight }) => `${name} has ${weight} %`).join(", ");
  return [
    {
      code: "salt-moves-users",
      path: "spec.salt",
      message: `a new salt would move users between other variants (${shares}): give all their weight to ${spec.stable} first, or leave spec.salt out`,
    },
  ];
}

/** Tiers can only be added: each step includes the tiers of all earlier ones. */
function tierProblems(spec: RolloutSpec, route: InferenceRoute): Problem[] {
  if (!goesByTier(spec)) return [];
  const known = Object.keys(route.spec?.rateLimit?.tiers ?? {});
  const problems: Problem[] = [];
  if (route.spec?.canary?.hold)
    problems.push({
      code: "not-with",
      path: "spec.steps",
      message: "the route sets spec.canary.hold: remove it first",
    });
  let before: readonly string[] | undefined = [];
  spec.steps.forEach(({ action, tiers }, i) => {
    const path = `spec.steps[${i}].tiers`;
    if (tiers.length > 0 && action.case !== "weight")
      problems.push({ code: "not-with", path, message: "tiers is only allowed in a weight step" });
    if (action.case !== "weight") return;
    for (const tier of tiers)
      if (!known.includes(tier))
        problems.push({
          code: "unknown-tier",
          path,
          message: `tier "${tier}" is not one of ${known.join(", ") || "the route's tiers: it has none"}`,
        });
    const lost =
      tiers.length === 0 ? [] : (before ?? known).filter((tier) => !tiers.includes(tier));
    if (lost.length > 0)
      problems.push({
        code: "step-back",
        path,
        message: `tiers must include ${lost.join(", ")} of the step before: tiers can only be added`,
      });
    before = tiers.length > 0 ? tiers : undefined;
  });
  return problems;
}

function analysisProblems(spec: RolloutSpec, sources: Sources): Problem[] {
  const problems: Problem[] = [];
  spec.analysis?.checks.forEach(({ metric, percentile }, i) => {
    if (percentile !== undefined && !timeChecks.has(metric))
      problems.push({
        code: "not-with",
        path: `spec.analysis.checks[${i}].percentile`,
        message: `percentile is only allowed with ${[...timeChecks.keys()].join(", ")}, not with ${metric}`,
      });
  });
  spec.analysis?.queries.forEach(({ min, max }, i) => {
    const path = `spec.analysis.queries[${i}]`;
    if (min === undefined && max === undefined)
      problems.push({ code: "missing-field", path, message: "min or max is required" });
    if (!sources.prometheus)
      problems.push({
        code: "no-source",
        path,
        message: "the control service was started without --prometheus",
      });
  });
  spec.gates.forEach(({ name }, i) => {
    if (!sources.webhooks.includes(name))
      problems.push({
        code: "unknown-gate",
        path: `spec.gates[${i}].name`,
        message: `gate "${name}" is not one of ${sources.webhooks.join(", ") || "the control service's gates: it was started without --webhook"}`,
      });
  });
  if (spec.capacity && !sources.pods)
    problems.push({
      code: "no-source",
      path: "spec.capacity",
      message: "the control service was started without --pod-metrics",
    });
  return problems;
}

function find(variants: readonly Variant[], name: string): Variant | undefined {
  return variants.find((each) => each.name === name);
}
