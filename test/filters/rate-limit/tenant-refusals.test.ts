import { expect, it } from "vitest";
import type { SharedState } from "../../host/proxy.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";

/** Refusals that were counted, by tenant. */
function counted({ metrics }: SharedState): Record<string, number> {
  const found = [...metrics.values()].flatMap(({ name, value }) => {
    const [, tenant] = /tenant=\.=(.*?);\.;weir_tenant_refused_total$/.exec(name) ?? [];
    return tenant === undefined ? [] : [[tenant, Number(value)]];
  });
  return Object.fromEntries(found);
}

it.each(["rate-limit", "weir", "weir-full"])(
  "%s counts a tenant's refusals, and no stranger's",
  (module) => {
    const config = fullConfig();
    config.routes[0].rateLimit.tiers.gold = { requestsPerSecond: 1, burst: 3 };
    const { workers, shared } = configuredProxy(module, config);
    const worker = workers[0] as Worker;
    for (let i = 0; i < 5; i++) worker.request(requestHeaders({ "x-tenant-id": "acme" }));
    for (let i = 0; i < 20; i++) worker.request(requestHeaders({ "x-tenant-id": "nobody" }));
    worker.tick(1);
    const { acme, internal, nobody } = counted(shared);
    // Who was never refused has no metric yet.
    expect([acme, internal, nobody]).toEqual([2, undefined, undefined]);
  },
);

it("has counters for 32 tenants of a route, however many it names", () => {
  const config = fullConfig();
  for (let i = 0; i < 500; i++) config.routes[0].rateLimit.tenants[`tenant-${i}`] = "bronze";
  const { workers, shared } = configuredProxy("weir", config);
  // One without a counter is limited, and refused, like the others.
  const worker = workers[0] as Worker;
  const last = (i: number) => worker.request(requestHeaders({ "x-tenant-id": `tenant-${i}` }));
  for (const i of [0, 499]) {
    for (let n = 0; n < 10; n++) expect(last(i).action).toBe(0);
    expect(last(i).reply?.status).toBe(429);
  }
  for (let i = 1; i < 499; i++) for (let n = 0; n < 11; n++) last(i);
  worker.tick(1);
  expect(Object.keys(counted(shared))).toHaveLength(32);
});
