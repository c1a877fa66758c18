import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type ReportRequest, ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import {
  countOf,
  createLedger,
  distributionIn,
  during,
  labelsOf,
  quantile,
  totalOf,
  without,
} from "../../control/report/index.ts";

const route = "inference/chat";
const startMs = 1_700_000_000_000;

/** A report of a proxy whose counters began at a time. */
function report(
  node: string,
  init: MessageInitShape<typeof ReportRequestSchema>,
  sinceMs = startMs,
): ReportRequest {
  const epoch = (BigInt(sinceMs) * 1_000_000n).toString(16).padStart(16, "0");
  return create(ReportRequestSchema, { node, epoch, revision: "r", ...init });
}

const responses = (label: string, value: bigint, variant = "stable", tier = "gold") => ({
  name: "responses",
  route,
  label,
  variant,
  tier,
  value,
});
const firstToken = (index: number[], count: bigint[], variant = "stable", zeros = 0n) => ({
  name: "time_to_first_token_ms",
  route,
  variant,
  tier: "gold",
  index,
  count,
  zeros,
});

describe("what is counted once more for a tenant", () => {
  const ledger = createLedger(() => startMs);
  ledger.add(
    report("a", {
      counters: [responses("2xx", 90n), { ...responses("2xx", 7n, "stable", ""), tenant: "acme" }],
      histograms: [firstToken([5], [9n]), { ...firstToken([5], [2n]), tier: "", tenant: "acme" }],
    }),
  );
  const whole = ledger.observation(route);
  const acme = ledger.tenants(route).get("acme");

  it("is known by itself, and does not count twice in the whole", () => {
    expect(totalOf(whole, "responses")).toBe(90);
    expect(ledger.counts("responses", route)).toMatchObject([{ label: "2xx", total: 90 }]);
    expect([...ledger.tenants(route).keys()]).toEqual(["acme"]);
    expect(acme && totalOf(acme, "responses")).toBe(7);
  });

  it("can be taken out of the whole", () => {
    const rest = without(whole, acme ? [acme] : []);
    expect(totalOf(rest, "responses", { variant: "stable" })).toBe(83);
    expect(countOf(distributionIn(rest, "time_to_first_token_ms"))).toBe(7);
    // The whole is a value: it is as it was.
    expect(totalOf(whole, "responses")).toBe(90);
  });
});

describe("the ledger", () => {
  it("sums over proxies what they count, cumulative as they tell it", () => {
    const ledger = createLedger(() => startMs);
    ledger.add(report("a", { counters: [responses("2xx", 10n), responses("5xx", 1n)] }));
    ledger.add(report("a", { counters: [responses("2xx", 15n), responses("5xx", 1n)] }));
    ledger.add(report("b", { counters: [responses("2xx", 4n, "canary", "bronze")] }));
    const seen = ledger.observation(route);
    expect(totalOf(seen, "responses")).toBe(20);
    expect(totalOf(seen, "responses", { label: "2xx" })).toBe(19);
    expect(totalOf(seen, "responses", { variant: "canary" })).toBe(4);
    expect(totalOf(seen, "responses", { tier: "gold", label: "5xx" })).toBe(1);
    expect(totalOf(seen, "responses", { tier: "silver" })).toBe(0);
    expect(labelsOf(seen, "responses")).toEqual(["2xx", "5xx"]);
    expect(ledger.counts("responses", route).map(({ label, total }) => [label, total])).toEqual([
      ["2xx", 19],
      ["5xx", 1],
    ]);
    expect(totalOf(ledger.observation("inference/other"), "responses")).toBe(0);
  });

  it("loses nothing with a lost report, counts nothing twice, and starts over with the proxy", () => {
    const ledger = createLedger(() => startMs);
    ledger.add(report("a", { counters: [responses("2xx", 10n)] }));
    ledger.add(report("a", { counters: [responses("2xx", 10n)] }));
    ledger.add(report("a", { counters: [responses("2xx", 40n)] }));
    // A worker that reports an older state than another did adds nothing.
    ledger.add(report("a", { counters: [responses("2xx", 30n)] }));
    ledger.add(report("a", { counters: [responses("2xx", 41n)] }));
    expect(totalOf(ledger.observation(route), "responses")).toBe(41);
    ledger.add(report("a", { counters: [responses("2xx", 5n)] }, startMs + 60_000));
    expect(totalOf(ledger.observation(route), "responses")).toBe(46);
  });

  it("merges distributions of proxies, with counts between two moments", () => {
    let nowMs = startMs;
    const ledger = createLedger(() => nowMs);
    ledger.add(report("a", { histograms: [firstToken([100, 120], [5n, 5n], "stable", 2n)] }));
    const before = ledger.observation(route);
    nowMs += 1000;
    ledger.add(
      report("a", { histograms: [firstToken([100, 120, 150], [5n, 6n, 3n], "stable", 2n)] }),
    );
    ledger.add(report("b", { histograms: [firstToken([120], [4n])] }));
    ledger.add(report("b", { histograms: [firstToken([90], [9n], "canary")] }));
    const added = during(before, ledger.observation(route));
    expect(added.atMs).toBe(startMs + 1000);
    const stable = distributionIn(added, "time_to_first_token_ms", { variant: "stable" });
    expect(stable).toEqual({
      zeros: 0,
      buckets: new Map([
        [120, 5],
        [150, 3],
      ]),
    });
    expect(distributionIn(added, "time_to_first_token_ms").buckets.get(90)).toBe(9);
    // The observation taken before did not change under its owner.
    expect(distributionIn(before, "time_to_first_token_ms").buckets).toEqual(
      new Map([
        [100, 5],
        [120, 5],
      ]),
    );
    expect(quantile(distributionIn(added, "token_gap_ms"), 0.5)).toBeUndefined();
  });

  it("does not take for news what a proxy counted before the ledger began", () => {
    let nowMs = startMs;
    const ledger = createLedger(() => nowMs);
    const old = startMs - 3_600_000;
    ledger.add(report("a", { counters: [responses("2xx", 1_000_000n)] }, old));
    ledger.add(report("a", { counters: [responses("2xx", 1_000_010n)] }, old));
    nowMs += 5_000;
    // Told by turns: another series of the same proxy shows up a little later.
    ledger.add(report("a", { histograms: [firstToken([100], [500n])] }, old));
    ledger.add(report("a", { histograms: [firstToken([100, 101], [503n, 1n])] }, old));
    nowMs += 60_000;
    ledger.add(report("a", { counters: [responses("5xx", 7n)] }, old));
    const seen = ledger.observation(route);
    expect(totalOf(seen, "responses", { label: "2xx" })).toBe(10);
    expect(distributionIn(seen, "time_to_first_token_ms").buckets).toEqual(new Map([[100, 3]]));
    expect(totalOf(seen, "responses", { label: "5xx" })).toBe(7);
  });

  it("tells rates over the last ten seconds", () => {
    let nowMs = startMs;
    const ledger = createLedger(() => nowMs);
    for (let i = 0n; i <= 20n; i++) {
      ledger.add(report("a", { counters: [responses("2xx", i * 50n)] }));
      nowMs += 1000;
    }
    expect(ledger.counts("responses", route)[0]?.perSecond).toBeCloseTo(50);
    nowMs += 20_000;
    expect(ledger.counts("responses", route)[0]?.perSecond).toBe(0);
  });

  it("keeps no more series than any set of proxies of ours has", () => {
    const ledger = createLedger(() => startMs);
    const counters = Array.from({ length: 60_000 }, (_, i) => responses(`label-${i}`, 1n));
    ledger.add(report("a", { counters }));
    expect(ledger.observation(route).counters.size).toBeLessThanOrEqual(50_000);
  });
});
