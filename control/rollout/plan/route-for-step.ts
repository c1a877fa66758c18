import { clone, create } from "@bufbuild/protobuf";
import type { RolloutSpec, RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import {
  type InferenceRoute,
  InferenceRouteSchema,
  ShadowSchema,
  type TierHold,
  TierHoldSchema,
} from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { toBuckets, toPercent } from "../../route/index.ts";
import { stageAt } from "./stages.ts";

/** Value of x-traffic-tag on the copies that a shadow step makes. */
const shadowTag = "rollout";

/** The route as a rollout's state wants it: weights, and copies where the step asks for them. */
export function routeFor(state: RolloutState, route: InferenceRoute): InferenceRoute {
  const spec = state.rollout?.spec as RolloutSpec;
  const wanted = clone(InferenceRouteSchema, route);
  if (wanted.spec === undefined) return wanted;
  for (const variant of wanted.spec.variants) {
    const weight = weightOf(state, spec, variant.name);
    if (weight !== undefined) variant.weight = weight;
  }
  const stage = state.phase === "running" ? stageAt(spec, state.step) : undefined;
  if (wanted.spec.canary && goesByTier(spec)) {
    const hold = holdIn(state, route);
    if (hold) wanted.spec.canary.hold = hold;
    else delete wanted.spec.canary.hold;
  }
  if (wanted.spec.canary) wanted.spec.canary.pin = pinsIn(state, spec, wanted.spec.canary.pin);
  if (wanted.spec.canary && state.salt) wanted.spec.canary.salt = state.salt;
  const mirrors = spec.steps.some(({ action }) => action.case === "shadow");
  if (stage?.kind === "shadow")
    wanted.spec.shadow = create(ShadowSchema, {
      variant: spec.canary,
      percent: stage.mirror,
      tag: shadowTag,
      mode: "mirror",
    });
  else if (mirrors && state.safeShadow) wanted.spec.shadow = state.safeShadow;
  else if (mirrors) delete wanted.spec.shadow;
  return wanted;
}

/** The route's pins with those of the rollout; on its way back without them. */
function pinsIn(
  { pins, phase }: RolloutState,
  { stable }: RolloutSpec,
  routePins: Readonly<Record<string, string>>,
): Record<string, string> {
  const wanted = { ...routePins };
  for (const { tenant } of pins)
    if (phase === "rolling-back") delete wanted[tenant];
    else wanted[tenant] = stable;
  return wanted;
}

/** Whether any step is for some tiers only. */
export function goesByTier({ steps }: RolloutSpec): boolean {
  return steps.some(({ tiers }) => tiers.length > 0);
}

/** The tiers that a rollout keeps on the stable variant for now. */
function holdIn(state: RolloutState, route: InferenceRoute | undefined): TierHold | undefined {
  const spec = state.rollout?.spec as RolloutSpec;
  const tiers = state.phase === "rolling-back" ? undefined : stageAt(spec, state.step)?.tiers;
  const held = Object.keys(route?.spec?.rateLimit?.tiers ?? {})
    .filter((tier) => tiers && !tiers.includes(tier))
    .sort();
  if (held.length === 0) return undefined;
  return create(TierHoldSchema, { tiers: held, variant: spec.stable });
}

/** How a route differs from what the rollout set: someone else moved its weights. */
export function driftOf(state: RolloutState, stored: RouteState | undefined): string | undefined {
  const spec = state.rollout?.spec as RolloutSpec;
  for (const name of [spec.canary, spec.stable]) {
    const wanted = weightOf(state, spec, name) ?? 0;
    const variant = stored?.route?.spec?.variants.find((each) => each.name === name);
    if (variant === undefined) return `the route has no variant ${name} any more`;
    if (variant.weight !== wanted)
      return `someone changed the weight of ${name} to ${variant.weight} %; the rollout had set ${wanted} %`;
  }
  const canary = stored?.route?.spec?.canary;
  if (state.salt && canary?.salt !== state.salt)
    return `someone changed the salt to ${canary?.salt || "the route's name"}; the rollout had set ${state.salt}`;
  const loose =
    state.phase === "rolling-back"
      ? undefined
      : state.pins.find(({ tenant }) => canary?.pin[tenant] !== spec.stable);
  if (loose)
    return `someone removed the pin of tenant ${loose.tenant} to ${spec.stable}, which the rollout had set: ${loose.reason}`;
  if (!goesByTier(spec)) return undefined;
  const held = stored?.route?.spec?.canary?.hold?.tiers.join(", ") ?? "";
  const wanted = holdIn(state, stored?.route)?.tiers.join(", ") ?? "";
  if (held !== wanted)
    return `someone changed the held tiers to ${held || "none"}; the rollout had set ${wanted || "none"}`;
  return undefined;
}

function weightOf(state: RolloutState, spec: RolloutSpec, name: string): number | undefined {
  const pool = toBuckets(state.safeWeights[spec.stable] ?? 0);
  if (name === spec.canary) return toPercent(Math.min(pool, toBuckets(state.weight)));
  if (name === spec.stable) return toPercent(Math.max(0, pool - toBuckets(state.weight)));
  return undefined;
}
