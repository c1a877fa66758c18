import type { JsonObject } from "@bufbuild/protobuf";
import type {
  Connections,
  InferenceRoute,
  Locality,
  Outlier,
  RouteSpec,
  Warmup,
} from "../gen/weir/v1/route_pb.ts";
import { routeName } from "../route/names.ts";
import { mirrors, mostCopies } from "../route/shadow-policy.ts";
import { sortedRecord } from "./attach.ts";
import { durationText } from "./duration.ts";
import { defined, definedOrNothing, type Manifest, metadataFor, type Origin } from "./manifest.ts";
import { namespaceOf, objectName } from "./names.ts";

/** The DestinationRule of a route: its variants as subsets, and how the proxies treat the pods. */
export function destinationRule(route: InferenceRoute): Manifest {
  const spec = route.spec as RouteSpec;
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: metadataFor(objectName(route), namespaceOf(route), [routeName(route)]),
      spec: {
        host: spec.service?.name ?? "",
        trafficPolicy: trafficPolicy(spec),
        subsets: spec.variants.map((variant) =>
          defined({
            name: variant.name,
            labels: labelsOf(variant.labels),
            trafficPolicy: copiesPolicy(spec, variant.name),
          }),
        ),
      },
    },
    origins: originsOf(route, spec),
  };
}

function originsOf(route: InferenceRoute, spec: RouteSpec): Origin[] {
  const policy = ["spec", "trafficPolicy"];
  const found: Origin[] = [
    {
      path: [],
      text: `DestinationRule of ${routeName(route)}: spec.service, spec.variants, spec.resilience`,
    },
    {
      path: [...policy, "loadBalancer"],
      text: "a completion's cost is unknown beforehand: the idlest of two pods",
    },
  ];
  const resilience = spec.resilience;
  if (resilience?.connections)
    found.push({ path: [...policy, "connectionPool"], text: "spec.resilience.connections" });
  if (resilience?.outlier)
    found.push({ path: [...policy, "outlierDetection"], text: "spec.resilience.outlier" });
  else if (resilience?.locality)
    found.push({
      path: [...policy, "outlierDetection"],
      text: "spec.resilience.locality: Istio fails over only with outlier detection; these are its defaults",
    });
  for (const index of spec.variants.keys())
    found.push({ path: ["spec", "subsets", index], text: `spec.variants[${index}]` });
  return found;
}

function trafficPolicy(spec: RouteSpec): JsonObject {
  const resilience = spec.resilience;
  const outlier = resilience?.outlier;
  return defined({
    loadBalancer: loadBalancer(resilience?.warmup, resilience?.locality),
    connectionPool: resilience?.connections && connectionPool(resilience.connections),
    outlierDetection: outlier || resilience?.locality ? outlierDetection(outlier) : undefined,
  });
}

function loadBalancer(warmup: Warmup | undefined, locality: Locality | undefined): JsonObject {
  return defined({
    simple: "LEAST_REQUEST",
    warmup:
      warmup &&
      defined({
        duration: durationText(warmup.duration),
        minimumPercent: warmup.minimumPercent ?? 10,
        aggression: warmup.aggression,
      }),
    localityLbSetting:
      locality &&
      defined({
        enabled: true,
        failover:
          locality.failover.length > 0
            ? locality.failover.map(({ from, to }) => ({ from, to }))
            : undefined,
      }),
  });
}

/**
 * A slow shadow gets no more copies than it can work off; they are dropped, not
 * queued. A subset's pool replaces the host's, so what that says is said again.
 */
function copiesPolicy({ shadow, resilience }: RouteSpec, variant: string): JsonObject | undefined {
  if (shadow === undefined || !mirrors(shadow) || shadow.variant !== variant) return undefined;
  const copies = mostCopies(shadow);
  const pool = resilience?.connections && connectionPool(resilience.connections);
  return {
    connectionPool: {
      ...pool,
      tcp: { maxConnections: copies, ...(pool?.tcp as JsonObject | undefined) },
      http: {
        ...(pool?.http as JsonObject | undefined),
        http1MaxPendingRequests: copies,
        http2MaxRequests: copies,
      },
    },
  };
}

function connectionPool(connections: Connections): JsonObject | undefined {
  return definedOrNothing({
    tcp: definedOrNothing({
      maxConnections: connections.maxConnections,
      connectTimeout: durationText(connections.connectTimeout),
    }),
    http: definedOrNothing({
      http1MaxPendingRequests: connections.maxPendingRequests,
      http2MaxRequests: connections.maxRequests,
      maxRequestsPerConnection: connections.maxRequestsPerConnection,
      idleTimeout: durationText(connections.idleTimeout),
      h2UpgradePolicy: connections.http2 ? "UPGRADE" : undefined,
    }),
  });
}

function outlierDetection(outlier: Outlier | undefined): JsonObject {
  return defined({
    consecutive5xxErrors: outlier?.consecutiveErrors ?? 5,
    interval: durationText(outlier?.interval),
    baseEjectionTime: durationText(outlier?.baseEjectionTime),
    maxEjectionPercent: outlier?.maxEjectionPercent ?? 30,
  });
}

function labelsOf(labels: Record<string, string>): JsonObject | undefined {
  return Object.keys(labels).length > 0 ? sortedRecord(labels) : undefined;
}
