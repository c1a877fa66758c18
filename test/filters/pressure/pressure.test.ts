import { describe, expect, it } from "vitest";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";
import { value } from "../policies.ts";

/** A worker that compresses and mirrors everything, unless it is pressed. */
function start() {
  const config = fullConfig();
  const [route] = config.routes;
  delete route.rateLimit;
  route.compression.brownout = true;
  route.shadow = { percent: 100, tag: "t", yield: true };
  const { shared, workers } = configuredProxy("weir-full", config);
  const [worker] = workers;
  if (worker === undefined) throw new Error("no worker");
  const tick = (afterMs: number, root = 1) => {
    shared.nowNs += BigInt(Math.round(afterMs * 1e6));
    worker.tick(root);
  };
  const ask = (i = 0) =>
    worker.request(requestHeaders({ "accept-encoding": "gzip", "x-request-id": `id-${i}` }))
      .headers;
  return {
    tick,
    worker,
    config,
    compresses: () => value(ask(), "accept-encoding") === "gzip",
    share: () =>
      Array.from({ length: 1000 }, (_, i) => value(ask(i), "x-shadow-mode")).filter(Boolean)
        .length / 1000,
  };
}

describe("a worker whose event loop is late", () => {
  it("compresses nothing and copies less until it is prompt again", () => {
    const { tick, compresses, share } = start();
    for (let i = 0; i < 5; i++) tick(1001);
    expect([compresses(), share()]).toEqual([true, 1]);
    tick(1100);
    expect(compresses()).toBe(false);
    expect(share()).toBeCloseTo(0.25, 1);
    tick(1200);
    expect(share()).toBeCloseTo(0.0625, 1);
    // Neither late nor prompt: it stays.
    tick(1030);
    expect(share()).toBeCloseTo(0.0625, 1);
    for (let i = 0; i < 3; i++) tick(1001);
    expect(compresses(), "not at the first good second").toBe(false);
    for (let i = 0; i < 6; i++) tick(1001);
    expect([compresses(), share()]).toEqual([true, 1]);
  });

  it("is not one whose clock jumps, nor one that has a new configuration", () => {
    const { tick, worker, config, compresses } = start();
    tick(1000);
    tick(365 * 86_400_000);
    expect(compresses()).toBe(true);
    tick(-3_600_000);
    expect(compresses()).toBe(true);
    tick(1000);
    worker.configure(2, JSON.stringify({ ...config, revision: "r2" }));
    tick(300, 2);
    tick(700, 1);
    tick(300, 2);
    expect(compresses()).toBe(true);
    tick(1200, 2);
    expect(compresses()).toBe(false);
  });
});
