import { describe, expect, it } from "vitest";
import { RefusedError } from "../../control/registration/index.ts";
import { createWorld, openRoute, stateOf, type World } from "./registered.ts";

const one = "10.0.0.1:8000";
const two = "10.0.0.2:8000";
const pod = (address: string, instance = "") => ({ route: "inference/chat", address, instance });
const anyone = { name: "pods", isAdmin: false };

/** Two services that have run for a while, and what each tells the other when `tell` is called. */
function pair() {
  const [a, b] = [createWorld(), createWorld()];
  const worlds = [a, b] as const;
  for (const { registry } of worlds)
    registry.follow([stateOf(openRoute({ stable: 100, canary: 0 }))]);
  const boxes = worlds.map(({ registry }) => registry.open());
  return {
    a,
    b,
    tell() {
      const told = boxes.map((box) => box.take());
      b.registry.take(told[0] ?? [], "a", a.registry.isComplete());
      a.registry.take(told[1] ?? [], "b", b.registry.isComplete());
    },
    pass(ms: number) {
      for (const world of worlds) world.pass(ms);
    },
  };
}

const both = ({ a, b }: { a: World; b: World }) => [a.ready(), b.ready()];

describe("replicas that tell each other", () => {
  it("have the pods of both", () => {
    const world = pair();
    world.a.join(one);
    world.b.join(two);
    world.tell();
    expect(both(world)).toEqual([
      [one, two],
      [one, two],
    ]);
  });
  it("take a renewal at either of them", () => {
    const world = pair();
    world.a.join(one);
    world.tell();
    for (let i = 0; i < 6; i++) {
      world.pass(4_000);
      (i % 2 ? world.a : world.b).join(one);
      world.tell();
    }
    expect(both(world)).toEqual([[one], [one]]);
    world.pass(10_000);
    expect(both(world)).toEqual([[], []]);
  });
  it("take a drain and a leave at the one that the pod did not register with", () => {
    const world = pair();
    world.a.join(one);
    world.a.join(two);
    world.tell();
    world.b.registry.drain(pod(one), anyone);
    world.b.registry.deregister(pod(two), anyone);
    world.tell();
    expect(both(world)).toEqual([[], []]);
  });
  it("let no older news bring a pod back", () => {
    const world = pair();
    world.a.join(one);
    world.tell();
    // At the same moment a renewal here, and there the pod's last words.
    world.a.join(one);
    world.b.registry.deregister(pod(one), anyone);
    world.tell();
    world.tell();
    expect(both(world)).toEqual([[], []]);
  });
  it("keep the newest run of a pod that was started again elsewhere", () => {
    const world = pair();
    world.a.join(one, { instance: "old" });
    world.tell();
    world.pass(2_000);
    world.b.join(one, { instance: "new" });
    world.tell();
    expect(() => world.a.join(one, { instance: "old" })).toThrow(RefusedError);
    expect(both(world)).toEqual([[one], [one]]);
  });
  it("agree on one of two callers that took an address at the same moment", () => {
    const world = pair();
    world.a.join(one, { principal: "x", instance: "2", variant: "canary" });
    world.b.join(one, { principal: "y", instance: "1" });
    world.tell();
    expect(both(world)).toEqual([[one], [one]]);
    expect(world.a.ready("canary")).toEqual([]);
  });
  it("agree on the older of two callers that took an address while they were apart", () => {
    const world = pair();
    world.a.join(one, { principal: "x", instance: "2", variant: "canary" });
    world.pass(3_000);
    world.b.join(one, { principal: "y", instance: "1" });
    world.tell();
    expect([world.a.ready("canary"), world.b.ready("canary")]).toEqual([[one], [one]]);
    expect(both(world)).toEqual([[], []]);
  });
  it("are told all that there is at first", () => {
    const { a } = pair();
    a.join(one);
    a.registry.drain(pod(one), anyone);
    a.join(two);
    const late = createWorld();
    late.registry.follow([stateOf(openRoute())]);
    late.registry.take(a.registry.open().take(), "a", true);
    expect(late.ready()).toEqual([two]);
    expect(late.registry.list("inference/chat")).toHaveLength(2);
  });
});

describe("a replica that is not heard any more", () => {
  it("leaves its pods a minute to come elsewhere", () => {
    const { a, b, tell } = pair();
    a.join(one);
    a.join(two);
    tell();
    b.registry.lost("a");
    b.pass(20_000);
    expect(b.ready()).toEqual([one, two]);
    // One of them does: from then on its own lease counts.
    b.join(one);
    b.pass(10_000);
    expect(b.ready()).toEqual([two]);
    b.pass(30_000);
    expect(b.ready()).toEqual([]);
  });
});

it("a replica that is heard again does not bring back what left there meanwhile", () => {
  const { a, b, tell } = pair();
  a.join(one);
  a.join(two);
  tell();
  b.registry.lost("a");
  a.registry.deregister(pod(one), anyone);
  a.pass(15_000);
  a.join(two, { instance: "b" });
  b.pass(15_000);
  b.registry.take(a.registry.open().take(), "a", true);
  b.pass(9_750);
  expect(b.ready()).toEqual([one, two]);
  b.registry.take(a.registry.open().take(), "a", true);
  b.pass(250);
  expect(b.ready()).not.toContain(one);
});

describe("a service that starts on routes that pods registered for", () => {
  const start = () => createWorld([openRoute({ stable: 100, canary: 0 })]);

  it("leaves proxies the pods that they have until a lease's time is over", () => {
    const world = start();
    world.pass(3_000);
    world.join(one);
    expect([world.ready(), world.registry.isComplete()]).toEqual([undefined, false]);
    world.pass(6_750);
    expect(world.ready()).toEqual(undefined);
    const before = world.changes();
    world.pass(250);
    expect(world.ready()).toEqual([one]);
    expect(world.changes()).toBe(before + 1);
  });
  it("waits for the longest lease of a variant, each for itself", () => {
    const world = start();
    world.join(one, { leaseMs: 20_000 });
    world.join(two, { variant: "canary" });
    world.pass(10_000);
    expect([world.ready(), world.ready("canary")]).toEqual([undefined, []]);
    world.join(two, { variant: "canary", instance: "b" });
    world.pass(10_000);
    expect(world.ready()).toEqual([]);
  });
  it("waits for half a minute where no pod comes", () => {
    const world = start();
    world.pass(29_750);
    expect(world.ready()).toBeUndefined();
    world.pass(250);
    expect([world.ready(), world.registry.isComplete()]).toEqual([[], true]);
  });
  it("tells a pod that drains how long it still gets requests", () => {
    const world = start();
    world.join(one);
    world.pass(4_000);
    expect(world.registry.drain(pod(one), anyone).waitMs).toBe(6_000);
  });
  it("waits no more once another replica told it of all pods, before it knew the routes or after", () => {
    const { a } = pair();
    a.join(one);
    const told = () => a.registry.open().take();
    const world = start();
    world.registry.take(told(), "a", false);
    expect(world.ready()).toBeUndefined();
    world.registry.take(told(), "a", true);
    expect(world.ready()).toEqual([one]);
  });
  it("does not wait for a route that is stored later", () => {
    const world = start();
    world.registry.follow([stateOf(openRoute({ stable: 100 }, "search"))]);
    expect(world.registry.ready("inference/search", "stable")).toEqual([]);
  });
});
