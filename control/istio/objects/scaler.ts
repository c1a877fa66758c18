import type { JsonObject } from "@bufbuild/protobuf";
import type { Scale } from "../../gen/weir/v1/mesh_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { type Manifest, metadataFor } from "../manifest.ts";
import { namespaceOf, objectName } from "../names.ts";

const defaultMetric = "vllm:num_requests_waiting";
const defaultSettleSeconds = 300;

/**
 * What scales the pods of each variant that asks for it, by the requests that
 * wait in them: a busy GPU looks the same at one request and at a hundred.
 */
export function scalers(route: InferenceRoute): Manifest[] {
  return (route.spec?.variants ?? []).flatMap((variant, index) => {
    const scale = variant.scale;
    if (scale === undefined) return [];
    const metadata = metadataFor(`${objectName(route)}.${variant.name}`, namespaceOf(route), [
      routeName(route),
    ]);
    const keda = scale.prometheus !== "";
    const kind = keda ? "ScaledObject" : "HorizontalPodAutoscaler";
    const spec = keda
      ? scaledObject(scale, namespaceOf(route), variant.labels)
      : podAutoscaler(scale);
    return [
      {
        object: { apiVersion: keda ? "keda.sh/v1alpha1" : "autoscaling/v2", kind, metadata, spec },
        origins: [
          { path: [], text: `${kind} of ${routeName(route)}: spec.variants[${index}].scale` },
        ],
      },
    ];
  });
}

function podAutoscaler(scale: Scale): JsonObject {
  return {
    scaleTargetRef: target(scale),
    minReplicas: scale.minReplicas ?? 1,
    maxReplicas: scale.maxReplicas,
    metrics: [
      {
        type: "Pods",
        pods: {
          metric: { name: metricOf(scale) },
          target: { type: "AverageValue", averageValue: String(scale.queueDepth) },
        },
      },
    ],
    behavior: behavior(scale),
  };
}

function scaledObject(scale: Scale, namespace: string, labels: Record<string, string>): JsonObject {
  const selected = { namespace, ...labels };
  const matchers = Object.entries(sortedRecord(selected)).map(
    ([name, value]) => `${name.replace(/[^a-zA-Z0-9_]/g, "_")}=${JSON.stringify(value)}`,
  );
  return {
    scaleTargetRef: target(scale),
    minReplicaCount: scale.minReplicas ?? 1,
    maxReplicaCount: scale.maxReplicas,
    advanced: { horizontalPodAutoscalerConfig: { behavior: behavior(scale) } },
    triggers: [
      {
        type: "prometheus",
        metricType: "AverageValue",
        metadata: {
          serverAddress: scale.prometheus,
          query: `sum(${metricOf(scale)}{${matchers.join(",")}})`,
          threshold: String(scale.queueDepth),
        },
      },
    ],
  };
}

function metricOf({ metric }: Scale): string {
  return metric || defaultMetric;
}

const groups: Record<string, string> = {
  Deployment: "apps/v1",
  StatefulSet: "apps/v1",
  LeaderWorkerSet: "leaderworkerset.x-k8s.io/v1",
};

function target({ kind, workload }: Scale): JsonObject {
  const known = kind || "Deployment";
  return { apiVersion: groups[known] ?? "apps/v1", kind: known, name: workload };
}

/** Weights take minutes to load: pods come at once and go slowly, one at a time. */
function behavior({ settle }: Scale): JsonObject {
  const seconds = settle === undefined ? defaultSettleSeconds : Number(settle.seconds);
  return {
    scaleUp: { stabilizationWindowSeconds: 0 },
    scaleDown: {
      stabilizationWindowSeconds: Math.min(seconds, 3600),
      policies: [{ type: "Pods", value: 1, periodSeconds: 60 }],
    },
  };
}
