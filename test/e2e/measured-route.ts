import { readFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import type { InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { parseRoutes } from "../../control/route/index.ts";

/**
 * An example's route under a name and host of its own, with pods at these
 * places, streams that are measured (rollouts are judged by that) and limits
 * that no test reaches.
 */
export function measuredRoute(
  example: "canary" | "rollout",
  name: string,
  endpoints: readonly string[],
): InferenceRoute {
  const document = parse(readFileSync(`examples/${example}/route.yaml`, "utf8"));
  document.metadata.name = name;
  document.spec.hosts = [`${name}.example.com`];
  document.spec.tokens = { measure: true };
  for (const tier of Object.values<object>(document.spec.rateLimit.tiers))
    Object.assign(tier, { requestsPerSecond: 50_000, burst: 50_000 });
  document.spec.variants.forEach((variant: object, i: number) => {
    Object.assign(variant, { endpoints: [endpoints[i]] });
  });
  return parseRoutes(stringify(document)).routes[0] as InferenceRoute;
}
