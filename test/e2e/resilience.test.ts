import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { startServer } from "../../control/service/wiring/server.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";

const local = (port: number | undefined) => ({ host: "127.0.0.1", port: port ?? 0 });

/** Routes that between them ask a plain Envoy for everything that it can do for its pods. */
const documents = (live: number, dead: number) => `
apiVersion: weir.dev/v1alpha1
kind: InferenceRoute
metadata: {name: chat, namespace: inference}
spec:
  hosts: [chat.example.com]
  service: {name: llm, port: 8000}
  variants:
    - {name: stable, weight: 100, endpoints: ["127.0.0.1:${dead}"], fallbackEndpoints: ["127.0.0.1:${live}"]}
  fault: {match: [{header: x-drill, exact: "1"}], abort: {percent: 100, httpStatus: 503}}
  headers:
    request: {set: {accept-encoding: zstd}, remove: [x-debug]}
    response: {set: {x-served-by: weir}, add: {x-note: "100%%"}, remove: [x-pod]}
  resilience:
    timeout: 10s
    retries: {attempts: 2, retryOn: [connect-failure], backoff: 0.01s, remoteLocalities: true, budget: {percent: 50, minConcurrency: 3}}
    connections: {maxConnections: 64, maxRequests: 64, maxRetries: 5, keepalive: {time: 60s, probes: 3}, maxConnectionDuration: 600s}
---
apiVersion: weir.dev/v1alpha1
kind: InferenceRoute
metadata: {name: agents, namespace: inference}
spec:
  hosts: [agents.example.com]
  service: {name: agents, port: 8000}
  variants:
    - {name: stable, weight: 90, endpoints: ["127.0.0.1:${live}"]}
    - {name: canary, weight: 10, endpoints: ["127.0.0.2:${live}"]}
  canary: {stickyBy: [{header: x-user-id}]}
  rateLimit:
    identity: [{header: x-tenant-id}]
    tiers: {all: {requestsPerSecond: 10000, burst: 10000}}
    default: all
    perConnection: {requestsPerSecond: 1, burst: 3}
  fault: {variant: canary, delay: {percent: 100, duration: 0.3s}}
  tls: {mode: simple, sni: agents.internal, insecureSkipVerify: true}
  resilience:
    outlier: {consecutiveErrors: 3, consecutiveGatewayErrors: 2, consecutiveLocalFailures: 2, minHealthPercent: 20}
    balance: {policy: round-robin}
    warmup: {minimumPercent: 20, aggression: 1.5}
    connections: {http2: true, maxStreams: 32}
---
apiVersion: weir.dev/v1alpha1
kind: InferenceRoute
metadata: {name: hashed, namespace: inference}
spec:
  hosts: [hashed.example.com]
  service: {name: hashed, port: 8000}
  variants: [{name: stable, weight: 100, endpoints: ["127.0.0.3:${live}"]}]
  resilience:
    balance: {policy: consistent-hash, hash: {header: x-conversation, ringSize: 2048}}
`;

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
}

describe("the resilience of a route on a plain Envoy", () => {
  let pod: Pod;
  let gateway: number;
  let dump: string;
  const stops: (() => Promise<void>)[] = [];

  const ask = (host: string, headers: Record<string, string> = {}, agent?: Agent) =>
    new Promise<Answer>((resolve, reject) => {
      const options = { host: "127.0.0.1", port: gateway, path: "/v1/models", agent };
      request({ ...options, headers: { host, ...headers } }, (res) => {
        res.resume();
        res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers }));
      })
        .on("error", reject)
        .end();
    });

  beforeAll(async () => {
    const [listen, port, dead, adminPort] = await freePorts(4);
    gateway = port ?? 0;
    pod = await startPod("fallback", "127.0.0.1", 0);
    stops.push(() => pod.close());
    const server = await startServer({
      listen: local(listen),
      xds: local(0),
      gateway: local(gateway),
      store: "memory",
      wasm: "build/weir.wasm",
      log: () => {},
    });
    stops.unshift(() => server.close());
    const admin = local(adminPort);
    const envoy = await startEnvoy({
      binary: await findEnvoy(() => {}),
      bootstrap: bootstrap({ node: "resilience", xds: server.xds, admin }),
      admin,
      concurrency: 1,
    });
    stops.unshift(() => envoy.stop());
    const client = createClient(
      RouteService,
      createConnectTransport({ baseUrl: `http://127.0.0.1:${listen}`, httpVersion: "1.1" }),
    );
    const parsed = parseRoutes(documents(pod.port, dead ?? 0));
    expect(parsed.problems).toEqual([]);
    for (const route of parsed.routes) await client.applyRoute({ route });
    for (const name of ["chat", "agents", "hashed"]) {
      const deadline = Date.now() + 60_000;
      for (;;) {
        const { applied } = await client.getRoute({ name: `inference/${name}` });
        if (applied && applied.wanted > 0 && applied.applied === applied.wanted) break;
        if (Date.now() > deadline) throw new Error(JSON.stringify(applied));
        await sleep(50);
      }
    }
    const answer = await fetch(`http://127.0.0.1:${adminPort}/config_dump`);
    dump = await answer.text();
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
  });

  it("tries again where pods live when the first cannot be reached", async () => {
    expect((await ask("chat.example.com")).status).toBe(200);
    expect(pod.served.get("/v1/models")).toBeGreaterThan(0);
  });

  it("runs a drill for those who take part, and for no one else", async () => {
    expect((await ask("chat.example.com", { "x-drill": "1" })).status).toBe(503);
    expect((await ask("chat.example.com", { "x-drill": "2" })).status).toBe(200);
  });

  it("changes headers on the way there and back", async () => {
    const { headers } = await ask("chat.example.com", { "accept-encoding": "gzip" });
    expect(headers["x-seen-accept-encoding"]).toBe("zstd");
    expect(headers).toMatchObject({ "x-served-by": "weir", "x-note": "100%" });
    expect(headers["x-pod"]).toBeUndefined();
  });

  it("limits each connection for itself", async () => {
    const agents = [1, 2].map(() => new Agent({ keepAlive: true, maxSockets: 1 }));
    const statuses = async (agent: Agent | undefined) => {
      const seen: number[] = [];
      for (let i = 0; i < 5; i++) seen.push((await ask("agents.example.com", {}, agent)).status);
      return seen;
    };
    const [first, second] = [await statuses(agents[0]), await statuses(agents[1])];
    for (const agent of agents) agent.destroy();
    for (const seen of [first, second]) {
      // TLS to a pod that speaks none: what is let through cannot be served.
      expect(seen.slice(0, 3)).toEqual([503, 503, 503]);
      expect(seen).toContain(429);
    }
  });

  it.each([
    ["a ring", '"lb_policy": "RING_HASH"'],
    ["its size", '"minimum_ring_size": "2048"'],
    ["what is hashed", '"header_name": "x-conversation"'],
    ["a slow start", '"slow_start_window": "30s"'],
    ["outliers by gateway errors", '"consecutive_gateway_failure": 2'],
    ["outliers by connections", '"consecutive_local_origin_failure": 2'],
    ["the panic threshold", '"healthy_panic_threshold"'],
    ["HTTP/2", '"max_concurrent_streams": 32'],
    ["the retry budget", '"min_retry_concurrency": 3'],
    ["the circuit breaker of retries", '"max_retries": 5'],
    ["TLS", '"sni": "agents.internal"'],
    ["keep-alive", '"keepalive_time": 60'],
    ["the life of connections", '"max_connection_duration": "600s"'],
    ["the delay of a drill", '"fixed_delay": "0.300s"'],
  ])("runs with %s", (_what, text) => {
    expect(dump).toContain(text);
  });
});
