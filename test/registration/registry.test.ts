import { beforeEach, describe, expect, it } from "vitest";
import { createAddressCheck, parseRange, RefusedError } from "../../control/registration/index.ts";
import { createWorld, openRoute, stateOf, type World } from "./registered.ts";

const one = "10.0.0.1:8000";
const two = "10.0.0.2:8000";
const pod = (address: string, instance = "") => ({ route: "inference/chat", address, instance });
const anyone = { name: "pods", isAdmin: false };

/** The code of a refusal. */
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
  throw new Error("it was not refused");
}

let world: World;
beforeEach(() => {
  world = createWorld();
  world.registry.follow([stateOf(openRoute({ stable: 100, canary: 0 }))]);
});

describe("a lease", () => {
  it("holds while it is renewed, and ends without", () => {
    world.join(one);
    world.join(two);
    for (let i = 0; i < 5; i++) {
      world.pass(5_000);
      world.join(one);
    }
    expect(world.ready()).toEqual([one]);
    world.pass(9_750);
    expect(world.ready()).toEqual([one]);
    world.pass(250);
    expect(world.ready()).toEqual([]);
    expect(world.log).toEqual(["pod-joined", "pod-joined", "pod-expired", "pod-expired"]);
  });
  it("that is renewed changes nothing that proxies have, and is not logged", () => {
    world.join(one);
    const before = world.changes();
    for (let i = 0; i < 10; i++) world.join(one);
    expect(world.changes()).toBe(before);
    expect(world.log).toEqual(["pod-joined"]);
    expect(world.registry.counts.events()).toContainEqual(["renew", 10]);
  });
  it("of a service that stood still is longer by that time", () => {
    world.join(one);
    world.stand(60_000);
    expect(world.ready()).toEqual([one]);
    world.pass(10_000);
    expect(world.ready()).toEqual([]);
  });
  it("that changes its capacity is told", () => {
    world.join(one);
    world.join(one, { capacity: 7 });
    expect(world.registry.ready("inference/chat", "stable")).toEqual([
      { address: one, capacity: 7 },
    ]);
    expect(world.changes()).toBe(2);
  });
});

describe("a pod that drains", () => {
  it("takes no new requests, also when it renews its lease", () => {
    world.join(one);
    world.join(two);
    expect(world.registry.drain(pod(one), anyone)).toMatchObject({ waitMs: 0 });
    world.join(one);
    expect(world.ready()).toEqual([two]);
    expect(world.registry.list("inference/chat").map(({ state }) => state)).toEqual([
      "draining",
      "ready",
    ]);
  });
  it("takes requests again when it was started again", () => {
    world.join(one, { instance: "a" });
    world.registry.drain(pod(one, "a"), anyone);
    world.join(one, { instance: "b" });
    expect(world.ready()).toEqual([one]);
  });
  it("that is not there is refused", () => {
    expect(codeOf(() => world.registry.drain(pod(one), anyone))).toBe("pod-unknown");
    world.join(one, { instance: "a" });
    expect(codeOf(() => world.registry.drain(pod(one, "b"), anyone))).toBe("pod-unknown");
  });
  it("is refused to others, and not to an admin", () => {
    world.join(one);
    expect(codeOf(() => world.registry.drain(pod(one), { name: "others", isAdmin: false }))).toBe(
      "address-taken",
    );
    expect(
      codeOf(() => world.registry.deregister(pod(one), { name: "others", isAdmin: false })),
    ).toBe("address-taken");
  });
});

describe("a pod that leaves", () => {
  it("is gone at once, and a renewal that was on its way does not bring it back", () => {
    world.join(one);
    world.registry.deregister(pod(one, "a"), anyone);
    expect(world.ready()).toEqual([]);
    expect(codeOf(() => world.join(one))).toBe("pod-left");
    world.join(one, { instance: "b" });
    expect(world.ready()).toEqual([one]);
  });
  it("twice, or without ever having been there, changes nothing", () => {
    world.registry.deregister(pod(one), anyone);
    expect(world.changes()).toBe(0);
  });
  it("leaves its address to others", () => {
    world.join(one);
    world.registry.deregister(pod(one), anyone);
    world.join(one, { principal: "other", variant: "canary" });
    expect(world.ready("canary")).toEqual([one]);
  });
});

describe("an address", () => {
  it("goes to the newest run of the same caller, and the one before is refused from then on", () => {
    world.join(one, { instance: "a" });
    world.join(one, { instance: "b" });
    expect(codeOf(() => world.join(one, { instance: "a" }))).toBe("pod-replaced");
    world.join(one, { instance: "b" });
    expect(world.ready()).toEqual([one]);
  });
  it("of another caller is refused until its lease ends", () => {
    world.join(one);
    const other = { instance: "b", principal: "other" };
    expect(codeOf(() => world.join(one, other))).toBe("address-taken");
    world.pass(10_000);
    world.join(one, other);
    expect(world.ready()).toEqual([one]);
  });
  it("of another variant or route is refused, also to the pod itself", () => {
    world.registry.follow([
      stateOf(openRoute({ stable: 100, canary: 0 })),
      stateOf(openRoute({ stable: 100 }, "search")),
    ]);
    world.join(one);
    expect(codeOf(() => world.join(one, { variant: "canary" }))).toBe("address-taken");
    expect(codeOf(() => world.join(one, { route: "inference/search" }))).toBe("address-taken");
    expect(world.ready("canary")).toEqual([]);
  });
  it("that a document lists is refused, and leaves when a document begins to list it", () => {
    world.join(one);
    const listing = openRoute({ stable: 100 }, "search");
    for (const variant of listing.spec?.variants ?? []) variant.endpoints = [one];
    world.registry.follow([stateOf(openRoute()), stateOf(listing)]);
    expect(world.ready()).toEqual([]);
    expect(codeOf(() => world.join(one))).toBe("address-listed");
  });
  it("of a route that goes leaves with it", () => {
    world.join(one);
    world.registry.follow([]);
    expect(world.ready()).toEqual([]);
  });
});

describe("what is refused", () => {
  it.each([
    ["a variant that is not there", "unknown-variant", { variant: "other" }],
    ["a capacity that is absurd", "bad-capacity", { capacity: 1_001 }],
    ["a capacity without end", "bad-capacity", { capacity: Number.POSITIVE_INFINITY }],
    ["a lease that is too short", "bad-lease", { leaseMs: 2_999 }],
    ["a lease that is too long", "bad-lease", { leaseMs: 30_001 }],
    ["a lease that is none", "bad-lease", { leaseMs: Number.NaN }],
    ["a run without a name", "bad-instance", { instance: "" }],
    ["a run with a name that is too long", "bad-instance", { instance: "x".repeat(65) }],
    ["a run with a name of other characters", "bad-instance", { instance: "a b" }],
  ])("%s", (_what, code, of) => {
    expect(codeOf(() => world.join(one, of))).toBe(code);
    expect(world.registry.list("inference/chat")).toEqual([]);
  });
  it("a variant that takes no registrations", () => {
    const route = openRoute();
    for (const variant of route.spec?.variants ?? []) variant.register = false;
    world.registry.follow([stateOf(route)]);
    expect(codeOf(() => world.join(one))).toBe("not-registering");
  });
  it("more pods than a route may have", () => {
    const address = (i: number) => `10.1.${i >> 8}.${i & 255}:8000`;
    for (let i = 0; i < 1_024; i++) {
      if (i % 50 === 0) world.stand(1_000);
      world.join(address(i), { leaseMs: 30_000 });
    }
    world.stand(1_000);
    expect(codeOf(() => world.join(two))).toBe("route-full-of-pods");
    // One that is there may be started again.
    world.join(address(7), { instance: "b" });
  });
  it("more pods than a caller may have", () => {
    const names = ["r1", "r2", "r3", "r4", "r5"];
    world.registry.follow(names.map((name) => stateOf(openRoute({ stable: 100 }, name))));
    const join = (i: number, principal = "pods") =>
      world.join(`10.1.${i >> 8}.${i & 255}:8000`, {
        route: `inference/${names[i >> 10]}`,
        leaseMs: 30_000,
        principal,
      });
    for (let i = 0; i < 4_096; i++) {
      if (i % 50 === 0) world.stand(1_500);
      join(i);
    }
    world.stand(1_500);
    expect(codeOf(() => join(4_096))).toBe("caller-full-of-pods");
    join(4_096, "others");
  });
  it("a caller that starts pods without end", () => {
    let codes = 0;
    for (let i = 0; i < 5_000; i++)
      try {
        world.join(one, { instance: `run-${i}` });
      } catch (error) {
        expect((error as RefusedError).code).toBe("joins-too-fast");
        codes++;
      }
    expect(codes).toBe(5_000 - 1_024);
    // Pods that are there renew their leases all the same.
    world.join(one, { instance: "run-1023" });
  });
});

describe("addresses that pods may register with", () => {
  const ranges = (...texts: string[]) =>
    createAddressCheck(
      texts.map((text) => {
        const range = parseRange(text);
        if (!range) throw new Error(`${text} is no range`);
        return range;
      }),
    );
  it.each([
    ["0.0.0.0:80", "address-refused"],
    ["127.0.0.1:80", "address-refused"],
    ["169.254.169.254:80", "address-refused"],
    ["100.100.100.200:80", "address-refused"],
    ["224.0.0.1:80", "address-refused"],
    ["255.255.255.255:80", "address-refused"],
    ["[::]:80", "address-refused"],
    ["[::1]:80", "address-refused"],
    ["[fe80::1]:80", "address-refused"],
    ["[fd00:ec2::254]:80", "address-refused"],
    ["[ff02::1]:80", "address-refused"],
    ["[::ffff:127.0.0.1]:80", "bad-endpoint"],
    ["[::ffff:7f00:1]:80", "bad-endpoint"],
    ["[0:0:0:0:0:0:0:1]:80", "bad-endpoint"],
    ["[fe80::1%eth0]:80", "bad-endpoint"],
    ["10.0.0.01:80", "bad-endpoint"],
    ["10.0.0.256:80", "bad-endpoint"],
    ["10.0.0.1:0", "bad-endpoint"],
    ["10.0.0.1:080", "bad-endpoint"],
    ["10.0.0.1:65536", "bad-endpoint"],
    ["10.0.0.1", "bad-endpoint"],
    ["pod.example.com:80", "bad-endpoint"],
    ["", "bad-endpoint"],
    ["10.0.0.1:80", undefined],
    ["100.64.0.1:80", undefined],
    ["[2001:db8::7]:80", undefined],
  ])("by themselves: %s is %s", (address, code) => {
    expect(ranges()(address)?.code).toBe(code);
  });
  it("are those of the ranges that are named", () => {
    const check = ranges("10.0.0.0/8", "2001:db8::/32");
    expect(check("10.255.0.1:80")).toBeUndefined();
    expect(check("[2001:db8::1]:80")).toBeUndefined();
    expect(check("11.0.0.1:80")).toEqual({
      code: "address-refused",
      message:
        "address 11.0.0.1:80 is in none of the ranges of --endpoint-range of the control service",
    });
    expect(check("[2001:db9::1]:80")?.code).toBe("address-refused");
  });
  it("are special ones only where a range is named inside of them", () => {
    const wide = ranges("0.0.0.0/0", "::/0");
    expect(wide("10.0.0.1:80")).toBeUndefined();
    expect(wide("127.0.0.1:80")?.code).toBe("address-refused");
    expect(wide("169.254.169.254:80")?.code).toBe("address-refused");
    expect(wide("[::1]:80")?.code).toBe("address-refused");
    const local = ranges("127.0.0.0/8", "::1");
    expect(local("127.0.0.1:80")).toBeUndefined();
    expect(local("[::1]:80")).toBeUndefined();
    expect(local("169.254.169.254:80")?.code).toBe("address-refused");
  });
  it("are named by ranges in their one form", () => {
    for (const text of ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "x", "10.0.0.0/8/8", ""])
      expect(parseRange(text), text).toBeUndefined();
  });
});
