import { stringify } from "yaml";
import { generator } from "../random.ts";

/** Numbers that are the same for the same seed. */
export interface Random {
  below(limit: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  some<T>(from: readonly T[], upper?: number): T[];
}

export function createRandom(seed: number): Random {
  const next = generator(seed);
  const random: Random = {
    below: (limit) => Math.floor(next() * limit),
    chance: (probability) => next() < probability,
    pick: (from) => from[Math.floor(next() * from.length)] as never,
    some: (from, upper = from.length) =>
      from.filter(() => next() < 0.5).slice(0, Math.max(1, upper)),
  };
  return random;
}

/** Text that YAML, Go and Envoy might each read in their own way. */
const odd = ["yes", "on", "0x1", "1e3", "null", "true", "v-1", "a.b", "x_y", "12", "0", "off"];

/** A route document with some of everything, as YAML; most are valid, some are not. */
export function randomRoute(random: Random, index: number): string {
  const { below, chance, pick } = random;
  const maybe = <T>(probability: number, value: () => T): T | undefined =>
    chance(probability) ? value() : undefined;
  const duration = () => pick(["0.001s", "0.25s", "1s", "5.5s", "30s", "600s", "3600s", "99999s"]);
  const count = () => pick([1, 2, 64, 1024, 2147483647]);
  const header = () => pick(["x-user-id", "x-team", "authorization", "x_y", "x-a.b", "on"]);
  const percent = () => pick([0.01, 0.5, 1, 33.33, 50, 99.99, 100]);
  const label = () => ({ [pick(["version", "app.kubernetes.io/part-of", "on"])]: pick(odd) });
  const keys = () => random.some([{ header: header() }, { apiKey: true }, { sourceIp: true }], 3);
  const service = `llm-${index}`;
  const gateways = pick([[], ["istio-system/public"], ["public", "mesh"], ["mesh"], ["a/b", "c"]]);
  const inMesh = gateways.length === 0 || gateways.includes("mesh");
  const target = pick(["istio", "istio", "istio", "gateway-api"]);
  const external = target === "istio" && chance(0.15);
  const size = pick([1, 1, 2, 2, 3, 5]);
  const weights = split(random, size);
  const shadow = size > 1 && chance(0.5);
  if (shadow) {
    weights[0] = (weights[0] ?? 0) + (weights[size - 1] ?? 0);
    weights[size - 1] = 0;
  }
  const variants = weights.map((weight, at) => ({
    name: pick([`v${at}`, `stable-${at}`, `${at}`]),
    weight: weight / 100,
    labels: target === "istio" ? { ...label(), n: `${at}` } : maybe(0.3, () => ({ n: `${at}` })),
    endpoints: external
      ? [`192.0.2.${at}:${pick([8000, 9000])}`, `[2001:db8::${at}]:8000`]
      : undefined,
    ...(target === "gateway-api" && size > 1
      ? pick([{ service: `${service}-${at}` }, { inferencePool: `${service}-${at}` }])
      : maybe(external ? 0 : 0.15, () => ({ service: `${service}-${at}` }))),
    scale: maybe(0.2, () => ({
      workload: `${service}-${at}`,
      maxReplicas: 1 + below(64),
      queueDepth: 1 + below(20),
      ...maybe(0.4, () => ({ minReplicas: 0, prometheus: "http://prometheus:9090" })),
      ...maybe(0.3, () => ({ kind: "StatefulSet", settle: "60s", metric: "queue_depth" })),
    })),
  }));
  const rateLimit = chance(0.5);
  const canary = chance(0.7);
  const compression = chance(0.4);
  const side = pick(inMesh ? ["client", undefined] : ["gateway", undefined]);
  const attach =
    target === "gateway-api" && !inMesh
      ? { targetRefs: [{ kind: "Gateway", name: "public" }] }
      : { selector: { app: pick(odd), ...label() }, side };
  const last = variants.at(-1);
  const spec = {
    hosts: [`h${index}.example.com`, ...(chance(0.3) ? [`*.w${index}.example.org`] : [])],
    gateways,
    attach: { ...attach, namespace: maybe(0.5, () => "istio-system") },
    alsoAttach: maybe(0.15, () =>
      rateLimit ? [{ selector: { app: service }, side: "server", filters: ["rateLimit"] }] : [],
    ),
    service: {
      name: service,
      port: pick([80, 8000, 65535]),
      externalHost: external ? `${service}.gpu.example.net` : undefined,
    },
    variants,
    canary: canary
      ? { stickyBy: [{ header: header() }, ...keys()], salt: maybe(0.2, () => pick(odd)) }
      : undefined,
    rateLimit: rateLimit
      ? {
          identity: [{ apiKey: true }, ...keys()],
          tiers: {
            gold: { requestsPerSecond: pick([0.5, 100, 1e6]), concurrent: maybe(0.5, count1) },
            bronze: { requestsPerSecond: pick([0, 5]), tokensPerMinute: maybe(0.3, () => 6000) },
          },
          tenants: { [pick(odd)]: "gold", acme: "bronze" },
          default: "bronze",
          forward: maybe(0.3, () => ({ tenant: true })),
          perConnection: maybe(inMesh ? 0 : 0.3, () => ({ requestsPerSecond: 1 + below(100) })),
        }
      : undefined,
    compression:
      compression && !inMesh
        ? {
            algorithms: pick([["gzip"], ["zstd", "br", "gzip"], ["br", "zstd"]]),
            minBytes: maybe(0.5, () => 30 + below(4096)),
            contentTypes: maybe(0.5, () => ["application/json", "text/plain"]),
          }
        : undefined,
    shadow: shadow
      ? {
          variant: last?.name,
          percent: percent(),
          tag: pick(odd),
          mode: pick([undefined, "mirror", "divert"]),
          match: maybe(0.4, () => [{ header: header(), ...match(random) }]),
          modeHeader: maybe(0.2, () => "x-mode"),
          isolate: maybe(last?.labels ? 0.4 : 0, () => ({
            selector: { app: "llm", ...last?.labels },
          })),
        }
      : undefined,
    fault: maybe(target === "istio" ? 0.25 : 0, () => ({
      match: maybe(0.5, () => [{ header: header(), ...match(random) }]),
      variant: maybe(0.3, () => variants[0]?.name),
      delay: { percent: percent(), duration: duration() },
      abort: maybe(0.5, () => ({ percent: percent(), httpStatus: 200 + below(400) })),
    })),
    headers: maybe(0.3, () => ({
      request: { set: { "x-set": pick(odd), on: "50%%" }, remove: maybe(0.5, () => ["x-debug"]) },
      response: maybe(0.5, () => ({ add: { "x-add": 'a "b" #c: d' } })),
    })),
    tls: maybe(0.3, () =>
      pick<object>([
        { mode: "disable" },
        { mode: "istio-mutual", sni: "llm.example.com" },
        { mode: "simple", subjectAltNames: ["llm.example.com"], caCertificates: "/etc/ca.pem" },
        { mode: "simple", insecureSkipVerify: true },
        { mode: "mutual", credentialName: "llm-certs" },
        { mode: "mutual", clientCertificate: "/c.pem", privateKey: "/k.pem", sni: "llm" },
      ]),
    ),
    resilience: maybe(0.8, () => randomResilience(random, { count, duration, target })),
    mesh: maybe(target === "istio" ? 0.4 : 0, () => ({
      delegate: maybe(0.3, () => true),
      exportTo: maybe(0.4, () => pick([["."], ["*"], [".", "istio-system"]])),
      telemetry: maybe(0.4, () => ({
        accessLog: maybe(0.6, () => ({
          provider: maybe(0.5, () => "otel"),
          failuresOnly: chance(0.5),
        })),
        traces: maybe(0.5, () => ({ percent: percent() })),
        variantMetrics: chance(0.5),
      })),
    })),
  };
  const metadata = {
    name: `r${index}`,
    namespace: maybe(0.8, () => pick(["inference", "on", "1"])),
  };
  return stringify(
    { apiVersion: "weir.dev/v1alpha1", kind: "InferenceRoute", metadata, spec },
    { compat: "yaml-1.1" },
  );

  function count1() {
    return 1 + below(64);
  }
}

function match({ pick }: Random): object {
  return pick<object>([
    { exact: pick(odd) },
    { prefix: "gpu-" },
    { present: true },
    { present: false },
  ]);
}

function randomResilience(
  { below, chance, pick }: Random,
  { count, duration, target }: { count: () => number; duration: () => string; target: string },
): object {
  const maybe = <T>(probability: number, value: () => T): T | undefined =>
    chance(probability) ? value() : undefined;
  const attempts = target === "gateway-api" ? pick([undefined, 0]) : pick([undefined, 0, 1, 3, 10]);
  const hash = chance(0.25);
  const policy = hash ? "consistent-hash" : pick(["least-request", "round-robin", "random"]);
  // Beside retries it may only be where these never come after the fact; without, it is shorter than any timeout.
  const firstByte = target === "istio" && !attempts && chance(0.3);
  return {
    timeout: firstByte ? undefined : maybe(0.7, duration),
    firstByteTimeout: firstByte ? duration() : undefined,
    retries:
      attempts === undefined || attempts === 0
        ? { attempts }
        : {
            attempts,
            perTryTimeout: maybe(0.5, duration),
            retryOn: maybe(0.5, () => ["5xx", "connect-failure", "retriable-4xx"]),
            backoff: maybe(0.3, duration),
            remoteLocalities: maybe(0.3, () => true),
            budget: maybe(0.4, () => ({ percent: below(101), minConcurrency: below(10) })),
          },
    outlier: maybe(0.5, () => ({
      consecutiveErrors: maybe(0.5, () => 1 + below(20)),
      consecutiveGatewayErrors: maybe(0.3, () => 1 + below(20)),
      consecutiveLocalFailures: maybe(0.3, () => 1 + below(20)),
      interval: maybe(0.5, duration),
      baseEjectionTime: maybe(0.5, duration),
      maxEjectionPercent: maybe(0.5, () => below(101)),
      minHealthPercent: maybe(0.3, () => below(101)),
    })),
    connections: maybe(0.5, () => ({
      maxConnections: maybe(0.5, count),
      maxPendingRequests: maybe(0.5, count),
      maxRequests: maybe(0.5, count),
      maxRetries: maybe(0.3, count),
      maxStreams: maybe(0.3, count),
      connectTimeout: maybe(0.5, duration),
      idleTimeout: maybe(0.5, duration),
      maxConnectionDuration: maybe(0.3, duration),
      http2: maybe(0.5, () => true),
      keepalive: maybe(0.3, () => ({ time: maybe(0.7, duration), probes: maybe(0.5, () => 3) })),
    })),
    balance: maybe(hash ? 1 : 0.4, () => ({
      policy,
      hash: hash
        ? {
            ...pick<object>([
              { header: "x-conversation" },
              { cookie: { name: "c", ttl: maybe(0.5, duration) } },
              { sourceIp: true },
              { queryParameter: "user" },
            ]),
            ...pick<object>([{}, { ringSize: 2048 }, { maglevTableSize: 65537 }]),
          }
        : undefined,
    })),
    warmup: maybe(hash || policy === "random" ? 0 : 0.4, () => ({
      duration: maybe(0.7, duration),
      minimumPercent: maybe(0.5, () => below(101)),
      aggression: maybe(0.5, () => 1 + below(5)),
    })),
    locality: maybe(0.3, () =>
      pick<object>([
        {},
        { failover: [{ from: "eu", to: "us" }] },
        { distribute: [{ from: "eu/*", to: { "eu/*": 70, "us/east/*": 30 } }] },
        { failoverPriority: ["topology.istio.io/network", "gpu"] },
      ]),
    ),
  };
}

/** Hundredths of a percent for each of some variants. */
function split({ below }: Random, size: number): number[] {
  const weights = Array<number>(size).fill(0);
  let left = 10_000;
  for (let i = 1; i < size; i++) {
    const part = below(left + 1);
    weights[i] = part;
    left -= part;
  }
  weights[0] = left;
  return weights;
}
