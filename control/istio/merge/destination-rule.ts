import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Connections, InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { KubernetesObject } from "../../objects/index.ts";
import { fullObjectName } from "../../objects/index.ts";
import type { Report } from "../../route/index.ts";
import { defined, type Manifest } from "../manifest.ts";
import { reportLosses } from "./losses.ts";

/** Members of a load balancer that exclude each other. */
const choices = ["simple", "consistentHash"];

/**
 * Weir's subsets and policy in an existing DestinationRule: subsets of other
 * names stay, and so do fields of the policy that the route does not set.
 */
export function mergeDestinationRule(
  manifest: Manifest,
  existing: KubernetesObject,
  route: InferenceRoute | undefined,
  lose: Report,
): Manifest {
  const { spec } = manifest.object;
  const there = (existing.spec ?? {}) as JsonObject;
  const mine = (spec.subsets ?? []) as JsonObject[];
  const others = (there.subsets ?? []) as JsonObject[];
  const subsets = mine.map((subset) => ({
    ...others.find(({ name }) => name === subset.name),
    ...subset,
  }));
  const kept = others.filter(({ name }) => !mine.some((subset) => subset.name === name));
  const asked = spec.trafficPolicy as JsonObject;
  // Without a wish of the route's, Weir's default gives way to a choice that somebody made.
  const { balance, connections } = route?.spec?.resilience ?? {};
  const before = (there.trafficPolicy ?? {}) as JsonObject;
  const policy = mergePolicy(before, asked, balance === undefined);
  keepPool(before, policy, connections);
  reportLosses(there.trafficPolicy, policy, "trafficPolicy", lose);
  for (const subset of subsets)
    reportLosses(
      others.find(({ name }) => name === subset.name),
      subset,
      `subsets.${subset.name}`,
      lose,
    );
  for (const { port } of portLevelSettings(there))
    lose(
      "merge-loss",
      "spec.resilience",
      `trafficPolicy.portLevelSettings of port ${(port as JsonObject | undefined)?.number} is kept, so Istio ignores the route's resilience for that port`,
    );
  return {
    object: {
      ...manifest.object,
      spec: defined({
        ...there,
        ...spec,
        host: there.host ?? spec.host,
        trafficPolicy: policy,
        subsets: subsets.length + kept.length > 0 ? [...subsets, ...kept] : undefined,
      }),
    },
    origins: [
      ...manifest.origins,
      ...kept.map((_, index) => ({
        path: ["spec", "subsets", subsets.length + index],
        text: `kept from DestinationRule ${fullObjectName(existing)}`,
      })),
    ],
  };
}

function portLevelSettings({ trafficPolicy }: JsonObject): JsonObject[] {
  return ((trafficPolicy as JsonObject | undefined)?.portLevelSettings ?? []) as JsonObject[];
}

function mergePolicy(there: JsonObject, asked: JsonObject, defaulted: boolean): JsonObject {
  const before = (there.loadBalancer ?? {}) as JsonObject;
  const wanted = { ...(asked.loadBalancer as JsonObject) };
  if (defaulted && choices.some((choice) => before[choice] !== undefined))
    for (const choice of choices) delete wanted[choice];
  const loadBalancer = deep(before, wanted);
  if (wanted.simple !== undefined) delete loadBalancer.consistentHash;
  if (wanted.consistentHash !== undefined) {
    delete loadBalancer.simple;
    loadBalancer.consistentHash = wanted.consistentHash;
  }
  const merged = deep(there, asked);
  merged.loadBalancer = loadBalancer;
  if (asked.tls !== undefined) merged.tls = asked.tls;
  return merged;
}

/** Limits of connections that Weir writes by itself, and their fields in a route. */
const defaultLimits = ["idleTimeout", "maxRequestsPerConnection"] as const;

function keepPool(there: JsonObject, merged: JsonObject, asked: Connections | undefined): void {
  const httpOf = (policy: JsonObject) =>
    ((policy.connectionPool as JsonObject | undefined)?.http ?? {}) as JsonObject;
  const before = httpOf(there);
  for (const limit of defaultLimits)
    if (before[limit] !== undefined && asked?.[limit] === undefined)
      httpOf(merged)[limit] = before[limit];
}

/** The second's members over the first's, however deep. */
function deep(a: JsonObject, b: JsonObject): JsonObject {
  const out: JsonObject = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before: JsonValue | undefined = out[name];
    out[name] = isObject(before) && isObject(value) ? deep(before, value) : value;
  }
  return out;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
