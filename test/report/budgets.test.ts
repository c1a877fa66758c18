import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { NeedSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { createBudgets, goneMs, learningMs } from "../../control/report/index.ts";
import { splitByNeed } from "../../control/report/share-by-need.ts";

const rate = 120;

/** Budgets with one limit of 120 requests a second, past the time of learning, and a clock. */
function budgets({ learned = true } = {}) {
  let nowMs = 1_000_000;
  const made = createBudgets(
    (route, tenant) => (route === "inference/chat" && tenant === "acme" ? rate : undefined),
    { nowMs: () => nowMs },
  );
  if (learned) nowMs += learningMs;
  const has = new Map<string, bigint>();
  return {
    made,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** A report after a second; the proxy takes the share it is given, unless the answer is lost. */
    report(node: string, wanted: number, { lost = false } = {}): number | undefined {
      const need = create(NeedSchema, {
        route: "inference/chat",
        tenant: "acme",
        wanted: BigInt(wanted),
        intervalNs: has.get(node) ?? 0n,
      });
      const [lease] = made.report(node, [need]);
      const interval = lease?.intervalNs as bigint | undefined;
      if (interval !== undefined && !lost) has.set(node, interval);
      return interval === undefined ? undefined : 1e9 / Number(interval);
    },
    held: () => [...has.values()].reduce((sum, interval) => sum + 1e9 / Number(interval), 0),
  };
}

describe("a rate is split", () => {
  it.each([
    ["by need and evenly beyond while there is enough", 100, [10, 30], [40, 60]],
    ["in proportion when there is not", 100, [100, 300], [25, 75]],
    ["to one alone", 100, [7], [100]],
    ["evenly among those who need nothing", 90, [0, 0, 0], [30, 30, 30]],
  ])("%s", (_name, total, needs, parts) => {
    expect(splitByNeed(total, needs)).toEqual(parts);
  });
  it("without a remainder", () => {
    for (let i = 1; i < 200; i++) {
      const needs = Array.from({ length: (i % 9) + 1 }, (_, k) => (i * 31 * (k + 1)) % 97);
      expect(splitByNeed(100, needs).reduce((a, b) => a + b, 0)).toBeCloseTo(100, 6);
    }
  });
});

describe("budgets", () => {
  it("give one proxy everything", () => {
    expect(budgets().report("a", 10)).toBeCloseTo(rate, 0);
  });

  it("give another something only once the first says that it has less", () => {
    const { report, pass, held } = budgets();
    report("a", 300);
    expect(report("b", 300)).toBeLessThan(rate * 0.002);
    pass(1000);
    expect(report("a", 300)).toBeLessThan(rate * 0.7);
    expect(report("b", 300)).toBeLessThan(rate * 0.002);
    pass(1000);
    report("a", 300);
    expect(report("b", 300)).toBeGreaterThan(rate * 0.4);
    expect(held()).toBeLessThanOrEqual(rate * 1.002);
  });

  it("do not count on an answer that was lost", () => {
    const { report, pass, held } = budgets();
    report("a", 300);
    report("b", 300);
    for (let i = 0; i < 5; i++) {
      pass(1000);
      report("a", 300, { lost: true });
      expect(report("b", 300)).toBeLessThan(rate * 0.002);
      expect(held()).toBeLessThanOrEqual(rate * 1.002);
    }
  });

  it("never sum to more than the limit, whatever is needed where and whichever answers are lost", () => {
    const { report, pass, held } = budgets();
    const nodes = Array.from({ length: 10 }, (_, i) => `proxy-${i}`);
    for (let i = 0; i < 3000; i++) {
      pass((i * 137) % 400);
      const node = nodes[(i * 7) % 10] as string;
      report(node, (i * i * 31) % 500, { lost: i % 11 === 0 });
      expect(held(), `step ${i}`).toBeLessThanOrEqual(rate * (1 + 0.001 * nodes.length) + 0.001);
    }
    expect(held()).toBeGreaterThan(rate * 0.6);
  });

  it("give what a silent proxy had to others, but not at once", () => {
    const { report, pass } = budgets();
    report("a", 300);
    report("b", 300);
    pass(goneMs - 1000);
    expect(report("b", 300)).toBeLessThan(rate * 0.002);
    pass(2000);
    expect(report("b", 300)).toBeCloseTo(rate, 0);
  });

  it("of a replica that fell silent go to another one, which gives what its proxies have to no one at once", () => {
    let nowMs = 1_000_000;
    let alone = false;
    const made = createBudgets(() => rate, { decides: () => alone, nowMs: () => nowMs });
    nowMs += learningMs;
    const report = (node: string, held: number) => {
      const intervalNs = held === 0 ? 0n : BigInt(Math.round(1e9 / held));
      const need = { route: "inference/chat", tenant: "acme", wanted: 300n, intervalNs };
      const [lease] = made.report(node, [create(NeedSchema, need)]);
      return lease?.intervalNs === undefined ? undefined : 1e9 / Number(lease.intervalNs);
    };
    // The other replica decides, and told of its proxy, which has two thirds.
    expect([report("theirs", 80), report("ours", 40)]).toEqual([undefined, undefined]);
    alone = true;
    nowMs += goneMs - 1000;
    expect(report("ours", 40)).toBeLessThanOrEqual(40.01);
    nowMs += 2000;
    expect(report("ours", 40)).toBeCloseTo(rate, 0);
  });

  it("give what a proxy no longer names to others, but not at once: it may tell its needs by turns", () => {
    const { report, pass, made } = budgets();
    report("a", 300);
    report("b", 300);
    pass(goneMs - 1000);
    made.report("a", []);
    expect(report("b", 300)).toBeLessThan(rate * 0.002);
    pass(2000);
    made.report("a", []);
    expect(report("b", 300)).toBeCloseTo(rate, 0);
    expect(made.shares()).toMatchObject([{ route: "inference/chat", tenant: "acme", node: "b" }]);
  });

  it("first listen: no one gets more than they say they have, new ones nothing yet", () => {
    const { made, pass } = budgets({ learned: false });
    const need = (intervalNs: bigint, wanted = 300n) =>
      create(NeedSchema, { route: "inference/chat", tenant: "acme", wanted, intervalNs });
    const [kept] = made.report("a", [need(20_000_000n)]);
    expect(1e9 / Number(kept?.intervalNs)).toBeCloseTo(50, 0);
    expect(made.report("b", [need(0n)])).toEqual([]);
    pass(learningMs);
    const [grown] = made.report("a", [need(20_000_000n, 9000n)]);
    expect(1e9 / Number(grown?.intervalNs)).toBeGreaterThan(55);
  });

  it("know only the limits that there are", () => {
    const { made } = budgets();
    const need = create(NeedSchema, { route: "inference/chat", tenant: "nobody", wanted: 5n });
    expect(made.report("a", [need])).toEqual([]);
    expect(made.shares()).toEqual([]);
  });

  it("hold no more for ten thousand proxies that came and went", () => {
    const { report, pass, made } = budgets();
    for (let i = 0; i < 10_000; i++) {
      pass(100);
      report(`proxy-${i}`, 1);
    }
    expect(made.shares().length).toBeLessThan(200);
  });
});
