import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { type Telemetry, TelemetrySchema } from "../../gen/weir/v1/mesh_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName, variantHeader } from "../../route/index.ts";
import { type AttachPoint, selection } from "../attach.ts";
import { defined, type Manifest, metadataFor } from "../manifest.ts";
import type { RouteProblem } from "../problem.ts";

/** The Telemetry of an attach point's proxies; undefined when no route asks for one. */
export function telemetry(point: AttachPoint): Manifest | undefined {
  const asking = point.states.flatMap(({ route }) => (route && askedBy(route) ? [route] : []));
  const asked = asking[0] && askedBy(asking[0]);
  if (asked === undefined) return undefined;
  return {
    object: {
      apiVersion: "telemetry.istio.io/v1",
      kind: "Telemetry",
      metadata: metadataFor(point.name, point.namespace, asking.map(routeName)),
      spec: defined({ ...selection(point), ...parts(asked) }),
    },
    origins: [
      { path: [], text: `Telemetry of ${asking.map(routeName).join(", ")}: spec.mesh.telemetry` },
    ],
  };
}

/** A proxy has one Telemetry: routes that share it must ask for the same. */
export function checkTelemetry(points: AttachPoint[]): RouteProblem[] {
  return points.flatMap(({ states }) => {
    const asking = states.flatMap(({ route }) => (route && askedBy(route) ? [route] : []));
    const [first, ...others] = asking;
    return others
      .filter((route) => text(route) !== text(first as InferenceRoute))
      .map((route) => ({
        route: routeName(route),
        code: "telemetry-differs",
        path: "spec.mesh.telemetry",
        message: `mesh.telemetry differs from that of route ${routeName(first as InferenceRoute)}: routes on the same proxies must have the same telemetry`,
      }));
  });
}

function askedBy(route: InferenceRoute): Telemetry | undefined {
  const asked = route.spec?.mesh?.telemetry;
  return asked && Object.keys(parts(asked)).length > 0 ? asked : undefined;
}

function text(route: InferenceRoute): string {
  const asked = askedBy(route);
  return asked ? JSON.stringify(toJson(TelemetrySchema, asked)) : "";
}

function parts({ accessLog, traces, variantMetrics }: Telemetry): JsonObject {
  return defined({
    accessLogging: accessLog && [
      defined({
        providers: accessLog.provider === "" ? undefined : [{ name: accessLog.provider }],
        filter: accessLog.failuresOnly ? { expression: "response.code >= 400" } : undefined,
      }),
    ],
    tracing: traces && [{ randomSamplingPercentage: traces.percent ?? 0 }],
    metrics: variantMetrics ? [variantTag] : undefined,
  });
}

const variantTag: JsonObject = {
  providers: [{ name: "prometheus" }],
  overrides: [
    {
      match: { metric: "ALL_METRICS" },
      tagOverrides: {
        weir_variant: {
          operation: "UPSERT",
          value: `'${variantHeader}' in request.headers ? request.headers['${variantHeader}'] : 'none'`,
        },
      },
    },
  ],
};
