import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resourceTypes, type TypeName } from "../../control/xds/index.ts";
import { routeWithPods } from "../rollout/world.ts";
import { delta, sotw, startXds, type TestServer } from "./fake-envoy.ts";
import { snapshotOf, snapshotWith } from "./snapshots.ts";

const url = (name: TypeName) => resourceTypes.find((type) => type.name === name)?.url ?? "";
const node = { id: "envoy-1", cluster: "weir" };
const refusal = { code: 13, message: "no" };

let server: TestServer;
beforeEach(async () => {
  server = await startXds();
});
afterEach(async () => {
  // A server ends when its last session has.
  for (const envoy of open.splice(0)) envoy.close();
  await server.close();
});

const open: { close(): void }[] = [];
function kept<T extends { close(): void }>(envoy: T): T {
  open.push(envoy);
  return envoy;
}
const stateOfTheWorld = () => kept(sotw(server.port));

const fleetState = (type: TypeName) =>
  server.fleet.list()[0]?.resources.find((each) => each.type === type);

it("X3: a thousand refusals of the same are each sent nothing more, and all are told", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  const count = 1_000;
  const envoys = Array.from({ length: count }, (_, i) => ({ i, ...stateOfTheWorld() }));
  await Promise.all(
    envoys.map(async ({ i, send, next }) => {
      send({ node: { id: `e${i}` }, typeUrl: url("ECDS"), resourceNames: ["weir"] });
      const { nonce } = await next(30_000);
      send({
        typeUrl: url("ECDS"),
        resourceNames: ["weir"],
        responseNonce: nonce,
        errorDetail: refusal,
      });
    }),
  );
  await expect.poll(() => server.nacks.length, { timeout: 10_000 }).toBe(count);
  await Promise.all(envoys.map((envoy) => envoy.silence()));
  // Also to all of them at once when the same is published again.
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  await Promise.all(envoys.map((envoy) => envoy.silence()));
});

describe("X4: an answer", () => {
  it("to a version that was never sent counts for nothing", async () => {
    server.xds.publish(snapshotOf({ stable: 100 }));
    const envoy = stateOfTheWorld();
    envoy.send({ node, typeUrl: url("CDS") });
    await envoy.next();
    envoy.send({ typeUrl: url("CDS"), versionInfo: "made-up", responseNonce: "made-up" });
    await envoy.silence();
    expect(fleetState("CDS")?.ackedVersion).toBe("");
  });

  it("with a nonce of an earlier stream is a new subscription", async () => {
    server.xds.publish(snapshotOf({ stable: 100 }));
    const first = stateOfTheWorld();
    first.send({ node, typeUrl: url("RDS"), resourceNames: ["weir"] });
    const { nonce } = await first.next();
    first.close();
    server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
    const second = stateOfTheWorld();
    const stale = { versionInfo: "old", responseNonce: nonce };
    second.send({ node, typeUrl: url("RDS"), resourceNames: ["weir"], ...stale });
    expect((await second.next()).resources).toHaveLength(1);
  });
});

it("X5: a node that changes its name in the middle of a stream stays who it was", async () => {
  server.xds.publish(snapshotOf({ stable: 100 }));
  const envoy = stateOfTheWorld();
  envoy.send({ node, typeUrl: url("CDS") });
  await envoy.next();
  envoy.send({ node: { id: "someone-else" }, typeUrl: url("RDS"), resourceNames: ["weir"] });
  expect((await envoy.next()).resources).toHaveLength(1);
  expect(server.fleet.list().map((each) => each.node)).toEqual(["envoy-1"]);
});

it("X8: filters that are asked for before they are there come when they are, and never empty", async () => {
  const envoy = stateOfTheWorld();
  envoy.send({ node, typeUrl: url("ECDS"), resourceNames: ["weir"] });
  await envoy.silence();
  server.xds.publish(snapshotOf({ stable: 100 }));
  const { resources } = await envoy.next();
  expect(resources.map(({ value }) => value.length > 100)).toEqual([true]);
});

it("X9: names that are said twice are answered once", async () => {
  server.xds.publish(snapshotOf({ stable: 100 }));
  const envoy = stateOfTheWorld();
  const twice = ["inference/chat/stable", "inference/chat/stable"];
  envoy.send({ node, typeUrl: url("EDS"), resourceNames: twice });
  expect((await envoy.next()).resources).toHaveLength(1);
});

describe("X10: a proxy that reads nothing", () => {
  const large = (canary: number) =>
    snapshotWith(
      routeWithPods(9001, 9002),
      [100 - canary, canary],
      10_000,
      Buffer.concat(Array(20).fill(readFileSync("build/weir.wasm"))),
    );

  it("finds little more than the newest when it reads again", async () => {
    server.xds.publish(large(1));
    const envoy = stateOfTheWorld();
    envoy.stream.pause();
    envoy.send({ node, typeUrl: url("ECDS"), resourceNames: ["weir"] });
    for (let canary = 2; canary <= 50; canary++) {
      server.xds.publish(large(canary));
      await sleep(5);
    }
    const newest = large(50).ECDS.version;
    envoy.stream.resume();
    const versions: string[] = [];
    while (versions.at(-1) !== newest) versions.push((await envoy.next()).versionInfo);
    // What was on the way when it stopped to read, and the newest.
    expect(versions.length).toBeLessThanOrEqual(3);
    await envoy.silence();
  });

  it("is cut off after a while, and served when it comes back", async () => {
    await server.close();
    server = await startXds(200);
    server.xds.publish(large(1));
    const stuck = stateOfTheWorld();
    const closed = new Promise((resolve) => stuck.stream.once("close", resolve));
    stuck.stream.pause();
    stuck.send({ node, typeUrl: url("ECDS"), resourceNames: ["weir"] });
    await closed;
    const back = stateOfTheWorld();
    back.send({ node, typeUrl: url("ECDS"), resourceNames: ["weir"] });
    expect((await back.next()).resources).toHaveLength(1);
  });
});

describe("X13: over delta", () => {
  const names = ({ resources }: { resources: { name: string }[] }) =>
    resources.map(({ name }) => name).sort();
  const incremental = () => kept(delta(server.port));

  it("* goes together with names, and each can be let go for itself", async () => {
    server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
    const envoy = incremental();
    const all = ["inference/chat/canary", "inference/chat/stable", "weir_control"];
    envoy.send({
      node,
      typeUrl: url("CDS"),
      resourceNamesSubscribe: ["*", "inference/chat/stable"],
    });
    expect(names(await envoy.next())).toEqual(all);
    envoy.send({ typeUrl: url("CDS"), resourceNamesUnsubscribe: ["*"] });
    await envoy.silence();
    // What was named is followed still, what only * brought is not.
    server.xds.publish(snapshotOf({ stable: 90, green: 10 }));
    await envoy.silence();
  });

  it("what is removed and comes back is sent again", async () => {
    server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
    const envoy = incremental();
    envoy.send({ node, typeUrl: url("CDS") });
    await envoy.next();
    server.xds.publish(snapshotOf({ stable: 100 }));
    expect((await envoy.next()).removedResources).toEqual(["inference/chat/canary"]);
    server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
    expect(names(await envoy.next())).toEqual(["inference/chat/canary"]);
  });
});

it("X14: a proxy that restarts, with old and new side by side, is served twice and counted once", async () => {
  server.xds.publish(snapshotOf({ stable: 100 }));
  const old = stateOfTheWorld();
  const epoch = stateOfTheWorld();
  for (const envoy of [old, epoch]) {
    envoy.send({ node, typeUrl: url("RDS"), resourceNames: ["weir"] });
    await envoy.next();
  }
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  const [first, second] = [await old.next(), await epoch.next()];
  expect(first.versionInfo).toBe(second.versionInfo);
  expect(server.fleet.list()).toHaveLength(1);
  const connections = server.connections();
  old.close();
  await expect.poll(() => server.connections()).toBe(connections - 1);
  epoch.send({
    typeUrl: url("RDS"),
    resourceNames: ["weir"],
    versionInfo: second.versionInfo,
    responseNonce: second.nonce,
  });
  await expect.poll(() => fleetState("RDS")?.ackedVersion).toBe(second.versionInfo);
  expect(server.fleet.list()[0]?.connected).toBe(true);
});
