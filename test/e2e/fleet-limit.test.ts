import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { startPod } from "../../control/pods/index.ts";
import { parseRoute } from "../../control/route/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { local, startQuietServer, urlOf } from "../api/control-server.ts";
import { freePorts } from "../free-ports.ts";
import { gatewayClient } from "./gateway-client.ts";

// Two real Envoys of two workers each behind one address, whose kernel spreads
// connections over the workers of both: one connection is all load on one worker.

const perSecond = 40;
const burst = 40;
/** What four workers may hold: an eighth each of the burst that their proxy has. */
const leases = (4 * (burst / 2)) / 8;
const nodes = ["edge-1", "edge-2"];
const stops: (() => unknown)[] = [];
let url: string;
/** When the limit was first asked, and what it admitted since. */
let beganMs = 0;
let admitted = 0;

beforeAll(async () => {
  const [gateway = 0, ...admins] = await freePorts(3);
  const server = await startQuietServer({ gateway: local(gateway) });
  stops.push(() => server.close());
  const binary = await findEnvoy(() => {});
  for (const [index, node] of nodes.entries()) {
    const admin = local(admins[index]);
    const envoy = await startEnvoy({
      binary,
      bootstrap: bootstrap({ node, xds: server.xds, admin }),
      admin,
      concurrency: 2,
    });
    stops.push(() => envoy.stop());
  }
  const pod = await startPod("stable", "127.0.0.1", 0);
  stops.push(() => pod.close());
  const document = parse(readFileSync("examples/fleet-limit/route.yaml", "utf8"));
  document.spec.variants[0].endpoints = [`127.0.0.1:${pod.port}`];
  document.spec.rateLimit.tiers.gold = { requestsPerSecond: perSecond, burst };
  const { routes, problems } = parseRoute(document);
  expect(problems).toEqual([]);
  const api = createClient(
    RouteService,
    createConnectTransport({ baseUrl: urlOf(server), httpVersion: "1.1" }),
  );
  await api.applyRoute({ route: routes[0] as NonNullable<(typeof routes)[0]> });
  await vi.waitFor(
    async () => {
      const { applied } = await api.getRoute({ name: "embeddings" });
      expect(applied).toMatchObject({ wanted: 2, applied: 2 });
    },
    { timeout: 30_000, interval: 100 },
  );
  url = `http://127.0.0.1:${gateway}`;
}, 90_000);
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

/**
 * Asks for more than twice the limit over so many connections until three seconds
 * on end were given nine tenths of it.
 * @returns requests admitted in those
 */
async function askUntilGiven(connections: number): Promise<number> {
  const client = gatewayClient(url, connections);
  const ofSecond: number[] = [];
  let stopped = false;
  beganMs ||= performance.now();
  const begin = performance.now();
  const ask = async () => {
    while (!stopped) {
      const { status } = await client.get("/v1/models", {
        host: "embeddings.example.com",
        "x-tenant-id": "acme",
      });
      expect([200, 429]).toContain(status);
      if (status === 200) {
        admitted++;
        const second = Math.floor((performance.now() - begin) / 1000);
        ofSecond[second] = (ofSecond[second] ?? 0) + 1;
      }
      // The bound of docs/limits.md, from the very first request on.
      const seconds = (performance.now() - beganMs) / 1000;
      expect(admitted).toBeLessThanOrEqual(perSecond * seconds + burst + leases);
      await sleep((connections * 1000) / (perSecond * 2.5));
    }
  };
  const asking = Promise.all(Array.from({ length: connections }, ask));
  const given = () => {
    // What a bucket had saved up is gone after a few seconds.
    const now = Math.floor((performance.now() - begin) / 1000);
    if (now < 6) return 0;
    return [1, 2, 3].reduce((sum, ago) => sum + (ofSecond[now - ago] ?? 0), 0);
  };
  try {
    await Promise.race([
      expect
        .poll(given, { timeout: 60_000, interval: 100 })
        .toBeGreaterThanOrEqual(0.9 * 3 * perSecond),
      asking,
    ]);
    return given();
  } finally {
    stopped = true;
    await asking;
    client.close();
  }
}

it("gives the whole limit, and no more, to load spread over both proxies", async () => {
  await askUntilGiven(24);
}, 90_000);

it("gives it to one worker of one proxy that alone is asked", async () => {
  await askUntilGiven(1);
}, 90_000);

it("and to both again", async () => {
  await askUntilGiven(24);
}, 90_000);
