import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { createPublisher } from "../../control/publish/publish.ts";
import { createStagedPush } from "../../control/publish/staged.ts";
import type { Sendable } from "../../control/publish/trial.ts";
import { draftRoute } from "../../control/route/index.ts";
import { createMemoryStore } from "../../control/store/memory.ts";
import { createFleet } from "../../control/xds/fleet.ts";
import type { XdsServer } from "../../control/xds/server.ts";
import { local } from "../api/control-server.ts";
import { routeWithPods } from "../rollout/world.ts";
import { createMemoryXds } from "./memory-xds.ts";
import { snapshotOf } from "./snapshots.ts";

const everything = ["*"];
const patience = { timeout: 20_000 };
const quiet: XdsServer = { handle: () => false, publish: () => {}, close: () => {} };
const edition = (canary: number): Sendable => ({
  snapshot: snapshotOf({ stable: 100 - canary, canary }),
});

describe("pushes that were refused before they are sent", () => {
  it("follow on each other in turns of the event loop, however many there are", async () => {
    const fleet = createFleet();
    const [now, one, other] = [edition(0), edition(10), edition(20)];
    // Each of two streams of a proxy refuses one of them, at once: whichever is pushed is refused.
    for (const { snapshot } of [one, other]) {
      const proxy = fleet.connected({ id: "edge", cluster: "", version: "", scope: everything });
      proxy.sent("ECDS", snapshot.ECDS.version);
      proxy.nacked("ECDS", snapshot.ECDS.version, "no");
    }
    let refusals = 0;
    let nested = 0;
    const staged = createStagedPush<Sendable>(quiet, fleet, {
      silentMs: 60_000,
      initial: () => now,
      renew: (_, waiting) => waiting,
      onSettled: () => {},
      onSilence: () => {},
      onRefusal(scope, _refusal, refused) {
        refusals++;
        expect(++nested).toBe(1);
        staged.push([{ scope, edition: refused === one ? other : one, tried: true }]);
        nested--;
      },
    });
    onTestFinished(() => staged.close());
    staged.push([{ scope: everything, edition: now, tried: false }]);
    staged.push([{ scope: everything, edition: one, tried: true }]);
    expect(refusals).toBe(0);
    await expect.poll(() => refusals, patience).toBeGreaterThan(1_000);
    expect(staged.settled(everything)).toBe(now);
    staged.close();
    const ended = refusals;
    await sleep(20);
    expect(refusals).toBe(ended);
  });

  it("are not tried again and again: one refusal of a removal ends it until something changes", async () => {
    const memory = createMemoryXds();
    const store = createMemoryStore();
    const stopped: string[] = [];
    let settled = 0;
    const publisher = createPublisher({
      ...memory,
      store,
      report: () => local(1),
      gateway: local(2),
      code: () => ({ file: "/weir.wasm" }),
      removalMs: 20,
      log: (line, code) => {
        if (code === "push-stopped") stopped.push(line);
      },
    });
    onTestFinished(async () => {
      publisher.close();
      await store.close();
    });
    const write = async (name: string) => {
      const route = routeWithPods(9001, 9002);
      Object.assign(route.metadata ?? {}, { namespace: "inference", name });
      if (route.spec) route.spec.hosts = [`${name}.example.com`];
      const person = { principal: "ada", reason: "" };
      await store.put(`inference/${name}`, draftRoute(route, undefined), "", "apply", person);
    };
    await write("chat");
    await write("code");
    await publisher.publish();
    // It takes everything but clusters without those of a route that it had.
    const leave = memory.connect("edge", everything, ({ type, text }) => {
      settled++;
      return type === "CDS" && !text.includes("code") ? { refusal: "not gone yet" } : {};
    });
    onTestFinished(leave);
    await expect.poll(() => settled, patience).toBeGreaterThanOrEqual(4);
    await store.delete("inference/code", "", { principal: "ada", reason: "" });
    await publisher.publish();
    await expect.poll(() => stopped.length, patience).toBe(1);
    // Fifty times as long as a removal waits.
    await sleep(1_000);
    expect(stopped).toEqual([
      "stopped sending a change to the other proxies: edge refused CDS: not gone yet",
    ]);
  });
});
