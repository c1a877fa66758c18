import type { JsonObject } from "@bufbuild/protobuf";
import type {
  Locality,
  Outlier,
  Resilience,
  RouteSpec,
  Warmup,
} from "../../gen/weir/v1/route_pb.ts";
import type { Balance, Hash, TcpKeepalive, UpstreamTls } from "../../gen/weir/v1/traffic_pb.ts";
import { connectionsOf, maxCopies, mirrors, serverConnections } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { durationText } from "../duration.ts";
import { defined, definedOrNothing, type Origin } from "../manifest.ts";

/** The settings of a DestinationRule for all pods of a host. */
export function trafficPolicy(spec: RouteSpec): JsonObject {
  const resilience = spec.resilience;
  const outlier = resilience?.outlier;
  const budget = resilience?.retries?.budget;
  return defined({
    loadBalancer: loadBalancer(resilience),
    connectionPool: connectionPool(spec),
    outlierDetection: outlier || resilience?.locality ? outlierDetection(outlier) : undefined,
    tls: spec.tls && tls(spec.tls),
    retryBudget:
      budget &&
      defined({ percent: budget.percent ?? 20, minRetryConcurrency: budget.minConcurrency ?? 3 }),
  });
}

/** Comments of the parts of {@link trafficPolicy}. */
export function trafficPolicyOrigins(spec: RouteSpec): Origin[] {
  const { resilience, tls } = spec;
  const found: [string, string][] = [
    [
      "loadBalancer",
      resilience?.balance
        ? "spec.resilience.balance"
        : "a completion's cost is unknown beforehand: the idlest of two pods",
    ],
  ];
  found.push(["connectionPool", poolOrigin(spec)]);
  if (resilience?.outlier) found.push(["outlierDetection", "spec.resilience.outlier"]);
  else if (resilience?.locality)
    found.push([
      "outlierDetection",
      "spec.resilience.locality: Istio fails over only with outlier detection; these are its defaults",
    ]);
  if (tls) found.push(["tls", "spec.tls"]);
  if (resilience?.retries?.budget) found.push(["retryBudget", "spec.resilience.retries.budget"]);
  return found.map(([field, text]) => ({ path: ["spec", "trafficPolicy", field], text }));
}

/** What the connection pool is about, beyond what the route asks for. */
function poolOrigin(spec: RouteSpec): string {
  const asked = spec.resilience?.connections ? "spec.resilience.connections, " : "";
  const { closesAfterAnswers } = serverConnections(spec);
  return closesAfterAnswers
    ? `${asked}spec.server: it closes connections after streams, so each gets one request`
    : `${asked}spec.server: idle connections end here before the server ends them`;
}

const simple: Record<string, string> = {
  "": "LEAST_REQUEST",
  "least-request": "LEAST_REQUEST",
  "round-robin": "ROUND_ROBIN",
  random: "RANDOM",
};

function loadBalancer(resilience: Resilience | undefined): JsonObject {
  const balance: Balance | undefined = resilience?.balance;
  return defined({
    simple: balance?.hash ? undefined : simple[balance?.policy ?? ""],
    consistentHash: balance?.hash && consistentHash(balance.hash),
    warmup: resilience?.warmup && warmup(resilience.warmup),
    localityLbSetting: resilience?.locality && locality(resilience.locality),
  });
}

function consistentHash({ key, maglevTableSize, ringSize }: Hash): JsonObject {
  const cookie = key.case === "cookie" ? key.value : undefined;
  return defined({
    httpHeaderName: key.case === "header" ? key.value : undefined,
    httpCookie:
      cookie &&
      defined({
        name: cookie.name,
        path: cookie.path || undefined,
        // Without ttl Istio only reads the cookie; 0s gives one for the session.
        ttl: durationText(cookie.ttl) ?? "0s",
      }),
    useSourceIp: key.case === "sourceIp" ? true : undefined,
    httpQueryParameterName: key.case === "queryParameter" ? key.value : undefined,
    ringHash: ringSize === undefined ? undefined : { minimumRingSize: ringSize },
    maglev: maglevTableSize === undefined ? undefined : { tableSize: maglevTableSize },
  });
}

function warmup({ aggression, duration, minimumPercent }: Warmup): JsonObject {
  return defined({
    duration: durationText(duration) ?? "30s",
    minimumPercent: minimumPercent ?? 10,
    aggression,
  });
}

function locality({ distribute, failover, failoverPriority }: Locality): JsonObject {
  return defined({
    enabled: true,
    distribute:
      distribute.length > 0
        ? distribute.map(({ from, to }) => ({ from, to: sortedRecord(to) }))
        : undefined,
    failover: failover.length > 0 ? failover.map(({ from, to }) => ({ from, to })) : undefined,
    failoverPriority: failoverPriority.length > 0 ? failoverPriority : undefined,
  });
}

function connectionPool(spec: RouteSpec): JsonObject {
  const connections = connectionsOf(spec);
  return defined({
    tcp: definedOrNothing({
      maxConnections: connections.maxConnections,
      connectTimeout: durationText(connections.connectTimeout),
      tcpKeepalive: connections.keepalive && tcpKeepalive(connections.keepalive),
      maxConnectionDuration: durationText(connections.maxConnectionDuration),
    }),
    http: definedOrNothing({
      http1MaxPendingRequests: connections.maxPendingRequests,
      http2MaxRequests: connections.maxRequests,
      maxRequestsPerConnection: connections.maxRequestsPerConnection,
      maxRetries: connections.maxRetries,
      idleTimeout: durationText(connections.idleTimeout),
      h2UpgradePolicy: connections.http2 ? "UPGRADE" : undefined,
      maxConcurrentStreams: connections.maxStreams,
    }),
  });
}

/**
 * A slow shadow gets no more copies than it can work off; they are dropped, not
 * queued. A subset's pool replaces the host's, so what that says is said again.
 * Undefined for variants that are not mirrored to.
 */
export function copiesPolicy(spec: RouteSpec, variant: string): JsonObject | undefined {
  const { shadow } = spec;
  if (shadow === undefined || !mirrors(shadow) || shadow.variant !== variant) return undefined;
  const copies = maxCopies(shadow);
  const { tcp, http } = connectionPool(spec) as {
    tcp?: JsonObject;
    http?: JsonObject;
  };
  return {
    connectionPool: {
      tcp: { maxConnections: copies, ...tcp },
      http: { ...http, http1MaxPendingRequests: copies, http2MaxRequests: copies },
    },
  };
}

function tcpKeepalive({ interval, probes, time }: TcpKeepalive): JsonObject {
  return defined({ probes, time: durationText(time), interval: durationText(interval) });
}

function outlierDetection(outlier: Outlier | undefined): JsonObject {
  const localFailures = outlier?.consecutiveLocalFailures;
  return defined({
    splitExternalLocalOriginErrors: localFailures === undefined ? undefined : true,
    consecutiveLocalOriginFailures: localFailures,
    consecutiveGatewayErrors: outlier?.consecutiveGatewayErrors,
    consecutive5xxErrors: outlier?.consecutiveErrors ?? 5,
    interval: durationText(outlier?.interval),
    baseEjectionTime: durationText(outlier?.baseEjectionTime),
    maxEjectionPercent: outlier?.maxEjectionPercent ?? 30,
    minHealthPercent: outlier?.minHealthPercent,
  });
}

const tlsModes: Record<string, string> = {
  disable: "DISABLE",
  simple: "SIMPLE",
  mutual: "MUTUAL",
  "istio-mutual": "ISTIO_MUTUAL",
};

function tls(asked: UpstreamTls): JsonObject {
  return defined({
    mode: tlsModes[asked.mode],
    clientCertificate: asked.clientCertificate || undefined,
    privateKey: asked.privateKey || undefined,
    caCertificates: asked.caCertificates || undefined,
    credentialName: asked.credentialName || undefined,
    subjectAltNames: asked.subjectAltNames.length > 0 ? asked.subjectAltNames : undefined,
    sni: asked.sni || undefined,
    insecureSkipVerify: asked.insecureSkipVerify ? true : undefined,
  });
}
