import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createEtcdClient, parseEtcdAddress } from "../../control/etcd/index.ts";
import { createEtcdLease } from "../../control/leader/etcd-lease.ts";
import {
  createLeader,
  type Leader,
  type Lease,
  openLeader,
  ownerOf,
} from "../../control/leader/index.ts";
import { draftRoute } from "../../control/route/index.ts";
import { FencedError, openStore } from "../../control/store/index.ts";
import { messageWith } from "../route/documents.ts";
import { type EtcdCluster, startEtcd } from "../store/etcd-cluster.ts";
import { leaseContract } from "./contract.ts";

let etcd: EtcdCluster;
let used = 0;
const fresh = () => etcd.address(`leader-${used++}`);
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd?.close());

leaseContract("an etcd lease", async () => {
  const client = createEtcdClient(parseEtcdAddress(fresh()));
  return {
    lease: (name, ttlMs) => createEtcdLease(client, name, ttlMs),
    close: async () => client.close(),
  };
});

function campaign(address: string, name: string): Leader {
  const leader = openLeader(address, name, 1_500);
  onTestFinished(() => leader.close());
  return leader;
}

const leading = (leaders: Leader[]) => leaders.filter((leader) => leader.current() !== undefined);

describe("several replicas", () => {
  it("have one leader, and another soon after it leaves", async () => {
    const address = fresh();
    const leaders = ["a", "b", "c"].map((name) => campaign(address, name));
    await expect.poll(() => leading(leaders).length, { timeout: 10_000 }).toBe(1);
    const [first] = leading(leaders);
    const fence = first?.current()?.fence ?? 0n;
    await expect.poll(() => new Set(leaders.map((each) => each.holder())).size).toBe(1);
    await first?.close();
    expect(first?.current()).toBeUndefined();
    await expect.poll(() => leading(leaders).length, { timeout: 10_000 }).toBe(1);
    expect(leading(leaders)[0]?.current()?.fence).toBeGreaterThan(fence);
  });

  it("refuse the write of a leader that others have followed, though it does not know", async () => {
    const address = fresh();
    const store = openStore(address);
    onTestFinished(() => store.close());
    const old = campaign(address, "old");
    await expect.poll(() => old.current(), { timeout: 10_000 }).toBeDefined();
    const author = { principal: "rollout", reason: "step", fence: old.current()?.fence ?? 0n };
    const draft = draftRoute(messageWith({ stable: 90, canary: 10 }), undefined);
    const { etag } = await store.put("n/r", draft, "", "shift", author);
    await old.close();
    const next = campaign(address, "next");
    await expect.poll(() => next.current(), { timeout: 10_000 }).toBeDefined();
    // Nothing was written in between: only the election tells that the author is late.
    await expect(store.put("n/r", draft, etag, "shift", author)).rejects.toThrow(FencedError);
  });

  it("have no leader while etcd is away, and no two after it came back", async () => {
    const own = await startEtcd();
    onTestFinished(() => own.close());
    const leaders = ["a", "b"].map((name) => campaign(own.address("weir"), name));
    await expect.poll(() => leading(leaders).length, { timeout: 10_000 }).toBe(1);
    own.pause(0);
    await expect.poll(() => leading(leaders).length, { timeout: 10_000 }).toBe(0);
    own.resume(0);
    await expect.poll(() => leading(leaders).length, { timeout: 20_000 }).toBe(1);
    for (let i = 0; i < 20; i++) {
      expect(leading(leaders).length).toBeLessThanOrEqual(1);
      await sleep(50);
    }
  });
});

describe("a replica", () => {
  /** A lease that always says yes, on a clock of the test's own. */
  function onClock(renew: () => Promise<boolean>) {
    let nowMs = 0;
    const lease: Lease = { take: async () => ({ fence: 1n }), renew, release: async () => {} };
    const leader = createLeader("a", lease, { ttlMs: 90, monotonicMs: () => nowMs });
    onTestFinished(() => leader.close());
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { leader, pass };
  }

  it("stops to lead by its own clock when its renewals are not answered", async () => {
    const { leader, pass } = onClock(() => new Promise(() => {}));
    await expect.poll(() => leader.current()).toBeDefined();
    pass(71);
    expect(leader.current()).toBeDefined();
    pass(2);
    expect(leader.current()).toBeUndefined();
  });

  it("counts a term from before it asked, however late the answer", async () => {
    let answer: ((held: boolean) => void) | undefined;
    const { leader, pass } = onClock(() => new Promise((resolve) => (answer = resolve)));
    await expect.poll(() => leader.current()).toBeDefined();
    await expect.poll(() => answer).toBeDefined();
    pass(80);
    answer?.(true);
    // What follows from the answer has happened by the next turn of the loop.
    await new Promise(setImmediate);
    expect(leader.current()).toBeUndefined();
  });
});

describe("the owner of a tenant's budget", () => {
  const tenants = Array.from({ length: 2_000 }, (_, i) => `tenant-${i}`);

  it("is the same wherever it is asked for", () => {
    for (const tenant of tenants.slice(0, 50))
      expect(ownerOf(tenant, ["a", "b", "c"])).toBe(ownerOf(tenant, ["c", "a", "b"]));
    expect(ownerOf("x", [])).toBeUndefined();
  });

  it("changes only for the tenants of a replica that left", () => {
    const shares = new Map<string, number>();
    for (const tenant of tenants) {
      const before = ownerOf(tenant, ["a", "b", "c"]) ?? "";
      shares.set(before, (shares.get(before) ?? 0) + 1);
      if (before !== "b") expect(ownerOf(tenant, ["a", "c"])).toBe(before);
    }
    for (const share of shares.values()) expect(share).toBeGreaterThan(tenants.length / 4);
  });
});
