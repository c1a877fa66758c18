import { fromJsonString } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ReportRequestSchema } from "../../../control/gen/weir/v1/report_pb.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, requestHeaders } from "../module.ts";

const maxReportBytes = 262_144;

/** Fleet-wide limits of so many tenants on each of some routes. */
function manyTenants(routes: number, tenants: number, pad: string): any {
  const names = Array.from({ length: tenants }, (_, i) => `t${i}-${pad}`);
  return {
    revision: "r1",
    report: { cluster: "weir_control", authority: "127.0.0.1:8080", intervalMs: 1000 },
    routes: Array.from({ length: routes }, (_, i) => ({
      name: `inference/route-${i}`,
      hosts: [`r${i}.example.com`],
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { gold: { requestsPerSecond: 1000, burst: 1000 } },
        tenants: Object.fromEntries(names.map((name) => [name, "gold"])),
        default: "gold",
        fleet: { proxies: 4 },
      },
    })),
  };
}

it.each([
  ["that fill a report by their names", 2, 480, "n".repeat(230), 1],
  ["whose names a report escapes", 1, 900, '\t"'.repeat(60), 1],
  ["that are more than a report tells and a list holds", 3, 900, "", 2],
])(
  "tells the needs of tenants %s by turns, each request once",
  (_name, routes, tenants, pad, n) => {
    const config = manyTenants(routes, tenants, pad);
    const { shared, workers } = configuredProxy("weir-full", config, n);
    const names = Object.keys(config.routes[0].rateLimit.tenants);
    const told = new Map<string, bigint>();
    const asked = new Map<string, bigint>();
    let maxNeeds = 0;
    const second = () => {
      shared.nowNs += 1_000_000_000n;
      for (const worker of workers) {
        const before = shared.httpCalls.length;
        worker.tick(1);
        if (worker !== workers[0]) continue;
        expect(shared.httpCalls).toHaveLength(before + 1);
      }
      const { body } = shared.httpCalls.at(-1) as { body: string };
      expect(body.length).toBeLessThanOrEqual(maxReportBytes);
      const { needs } = fromJsonString(ReportRequestSchema, body);
      maxNeeds = Math.max(maxNeeds, needs.length);
      for (const { route, tenant, wanted } of needs)
        told.set(`${route} ${tenant}`, (told.get(`${route} ${tenant}`) ?? 0n) + wanted);
    };
    const ask = (worker: Worker, route: number, name: string) => {
      worker.request(
        requestHeaders({
          ":authority": `r${route}.example.com`,
          // Envoy takes no such byte in a header; the names only have to be long.
          "x-tenant-id": name,
        }),
      );
      const key = `inference/route-${route} ${name}`;
      asked.set(key, (asked.get(key) ?? 0n) + 1n);
    };
    // Everyone is busy all the time: whoever comes late in any order would starve.
    for (let i = 0; i < 6; i++) {
      for (let route = 0; route < routes; route++)
        for (const [k, name] of names.entries()) ask(workers[(i + k) % n] as Worker, route, name);
      second();
    }
    const busy = told.size;
    for (let i = 0; i < 12; i++) second();
    expect(busy).toBe(routes * tenants);
    expect(maxNeeds).toBeLessThan(routes * tenants);
    expect(told).toEqual(asked);
  },
);

it("takes the shares of a thousand tenants out of one answer", () => {
  const config = manyTenants(1, 1000, "");
  const { shared, workers } = configuredProxy("weir-full", config, 1);
  const worker = workers[0] as Worker;
  const names = Object.keys(config.routes[0].rateLimit.tenants);
  for (const name of names)
    worker.request(requestHeaders({ ":authority": "r0.example.com", "x-tenant-id": name }));
  worker.tick(1);
  const leases = names.map((tenant) => ({
    route: "inference/route-0",
    tenant,
    intervalNs: "2000000",
  }));
  worker.answerCall(1, { status: 200, body: JSON.stringify({ leases }) });
  shared.nowNs += 1_000_000_000n;
  worker.tick(1);
  const { body } = shared.httpCalls.at(-1) as { body: string };
  const { needs } = fromJsonString(ReportRequestSchema, body);
  expect(needs).toHaveLength(names.length);
  expect(new Set(needs.map(({ intervalNs }) => intervalNs))).toEqual(new Set([2_000_000n]));
});
