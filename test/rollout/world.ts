import { create, fromJson } from "@bufbuild/protobuf";
import { type Rollout, RolloutSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { type InferenceRoute, TokensSchema } from "../../control/gen/weir/v1/route_pb.ts";
import {
  createSynthetic,
  faults,
  goodProfile,
  type Profile,
  seededRandom,
  type TenantProfile,
} from "../../control/rollout/simulate/synthetic.ts";
import { messageWith } from "../route/documents.ts";

/** The example route with its canary at this weight, measured as rollouts need it. */
export function routeOf(canary = 0): InferenceRoute {
  const route = messageWith({ stable: 100 - canary, canary });
  if (route.spec) route.spec.tokens = create(TokensSchema, { measure: true });
  return route;
}

/** The same with pods, so that plain Envoys are sent it. */
export function routeWithPods(...ports: [number, number]): InferenceRoute {
  const route = routeOf();
  route.spec?.variants.forEach((variant, i) => {
    variant.endpoints = [`127.0.0.1:${ports[i]}`];
  });
  return route;
}

/** A rollout of the example route, with these members of its spec. */
export function rolloutOf(spec: object): Rollout {
  return fromJson(RolloutSchema, {
    apiVersion: "weir.dev/v1alpha1",
    kind: "Rollout",
    metadata: { name: "chat", namespace: "inference" },
    spec: { canary: "canary", stable: "stable", ...spec },
  } as never);
}

/** Frames of made-up traffic, one a second unless they come every so many. */
export function traffic(
  seed: number,
  options: {
    perSecond: number;
    seconds: number;
    everySeconds?: number;
    fault?: string;
    profile?: Partial<Profile>;
    stable?: Partial<Profile>;
    tenants?: readonly TenantProfile[];
  },
) {
  const random = seededRandom(seed);
  const synthetic = createSynthetic({
    node: "synthetic",
    route: "inference/chat",
    stable: "stable",
    canary: "canary",
    stableProfile: { ...goodProfile, ...options.stable },
    canaryProfile: {
      ...goodProfile,
      ...options.stable,
      ...faults[options.fault ?? "none"],
      ...options.profile,
    },
    random,
    epoch: "1",
    ...(options.tenants ? { tenants: options.tenants } : {}),
  });
  let second = 0;
  return (canaryPercent: number, pins: readonly string[] = []) => {
    const every = options.everySeconds ?? 1;
    if (second >= options.seconds) return undefined;
    second += every;
    // Requests come at random: their number varies as Poisson's does, roughly.
    const mean = options.perSecond * every;
    const count = mean + (random() - 0.5) * 4 * Math.sqrt(mean);
    synthetic.answer(Math.max(0, Math.round(count)), canaryPercent, pins);
    return { atMs: second * 1000, reports: [synthetic.report(second * 1000, "r")] };
  };
}
