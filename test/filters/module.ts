import { readFileSync } from "node:fs";
import { createSharedState, type SharedState } from "../host/proxy.ts";
import { startWorker, type Worker } from "../host/worker.ts";

/** A compiled filter, as `npm run build:filters` leaves it. */
export function compiled(name: string): WebAssembly.Module {
  const known = modules.get(name) ?? new WebAssembly.Module(readFileSync(`build/${name}.wasm`));
  modules.set(name, known);
  return known;
}
const modules = new Map<string, WebAssembly.Module>();

/** Everything the four filters can be asked, for chat.example.com. */
export function fullConfig(): any {
  return {
    revision: "r1",
    routes: [
      {
        name: "inference/chat",
        hosts: ["chat.example.com", "*.wild.example.com"],
        canary: {
          stickyBy: [{ header: "x-user-id" }, { apiKey: true }, { sourceIp: true }],
          salt: "inference/chat",
          buckets: [
            { variant: "stable", count: 9000 },
            { variant: "canary", count: 1000 },
          ],
          variants: ["stable", "canary"],
          force: { header: "x-variant", from: ["internal"] },
          identity: [{ header: "x-tenant-id" }, { apiKey: true }],
        },
        rateLimit: {
          identity: [{ header: "x-tenant-id" }, { apiKey: true }],
          tiers: {
            gold: {
              requestsPerSecond: 100,
              burst: 200,
              tokensPerMinute: "600000",
              priority: 10,
            },
            bronze: { requestsPerSecond: 5, burst: 10 },
            blocked: {},
          },
          tenants: {
            acme: "gold",
            internal: "gold",
            banned: "blocked",
            // SHA-256 of "key-1".
            "sha256:7fdb3f34d2b41a8c8b1d5d1a3c0e8c6c3b7d2f64c0e2a7de1d9dd6fd0b5a9a11": "gold",
          },
          default: "bronze",
          forward: { tenant: true, tier: true },
        },
        shadow: {
          percent: 5,
          tag: "shadow_2024",
          match: [{ header: "x-team", exact: "search" }],
          modeHeader: "x-shadow-mode",
          tagHeader: "x-traffic-tag",
          from: ["internal"],
          identity: [{ header: "x-tenant-id" }],
        },
        compression: { algorithms: ["zstd", "br", "gzip"], secrets: "never" },
      },
    ],
  };
}

/** Routes on one host for route-select.wasm. */
export function selectConfig(): any {
  const route = (name: string, match: object[]) => ({
    name: `inference/${name}`,
    hosts: ["chat.example.com"],
    select: { match, readsBody: true, maxBodyBytes: 4096 },
  });
  return {
    revision: "s1",
    routes: [
      route("exact", [
        { rank: 900, model: "tiny", headers: [{ header: "x-team", present: true }] },
      ]),
      route("prefix", [
        { rank: 500, modelPrefix: "t", pathPrefix: "/v1" },
        { rank: 9, path: "/x" },
      ]),
      route("rest", []),
    ],
  };
}

/** What weir-full.wasm can be asked beyond that, for the same host. */
export function fullestConfig(): any {
  const config = fullConfig();
  const { rateLimit } = config.routes[0];
  rateLimit.identity.unshift({ san: "connection" }, { san: "forwarded" });
  Object.assign(rateLimit.tiers.gold, { concurrent: 64, objective: "interactive" });
  Object.assign(rateLimit.tiers.bronze, { concurrent: 4, priority: 1 });
  rateLimit.forward.scheduler = true;
  Object.assign(rateLimit, {
    concurrent: 100,
    overload: { queueDepth: 5, kvCachePercent: 80, gpuPercent: 95 },
    fleet: { proxies: 4 },
  });
  config.report = { cluster: "weir_control", authority: "127.0.0.1:8080", intervalMs: 1000 };
  return config;
}

/** Workers of one proxy, configured alike. */
export function configuredProxy(
  name: string,
  config: object,
  workers = 1,
): { shared: SharedState; workers: Worker[] } {
  const shared = createSharedState();
  const module = compiled(name);
  const started = Array.from({ length: workers }, () => startWorker(module, shared));
  for (const worker of started)
    if (!worker.configure(1, JSON.stringify(config)))
      throw new Error(`refused: ${shared.log.map(({ message }) => message).join("; ")}`);
  return { shared, workers: started };
}

/** Request headers as Envoy hands them over, for chat.example.com. */
export function requestHeaders(extra: Record<string, string | string[]> = {}): [string, string][] {
  const own: Record<string, string | string[]> = {
    ":authority": "chat.example.com",
    ":path": "/v1/chat/completions",
    ":method": "POST",
    ":scheme": "http",
    "content-type": "application/json",
    "user-agent": "openai-python/3.52",
    "x-request-id": "3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11",
    "x-forwarded-proto": "http",
    ...extra,
  };
  return Object.entries(own).flatMap(([key, value]) =>
    [value].flat().map((each): [string, string] => [key, each]),
  );
}
