import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { type ReportRequest, ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import {
  bucketOf,
  createLedger,
  type Ledger,
  type Observation,
} from "../../control/report/index.ts";
import { createSignalHistory, type SignalHistory } from "../../control/signals/index.ts";
import { signalsOf } from "../../control/signals/signals.ts";

const route = { name: "inference/chat", variants: ["stable", "canary"] };
let nowMs: number;
let ledger: Ledger;
let history: SignalHistory;

beforeEach(() => {
  nowMs = 1_000_000;
  ledger = createLedger(() => nowMs);
  history = createSignalHistory(ledger, () => nowMs);
});

/** A proxy's totals after so many seconds of the same traffic. */
function after(seconds: number): ReportRequest {
  const count = (name: string, label: string, perSecond: number, variant = "", tier = "") => ({
    name,
    route: route.name,
    label,
    variant,
    tier,
    value: BigInt(perSecond * seconds),
  });
  return create(ReportRequestSchema, {
    node: "a",
    epoch: "one",
    revision: "r",
    counters: [
      count("canary_requests", "stable", 90),
      count("canary_requests", "canary", 10),
      count("responses", "2xx", 90, "stable", "gold"),
      count("responses", "2xx", 3, "canary", "gold"),
      count("responses", "5xx", 1, "canary", "gold"),
      count("responses", "5xx", 1, "canary", "bronze"),
      count("failed_answers", "error", 1, "canary", "gold"),
      count("responses", "4xx", 3, "canary", "bronze"),
      count("responses", "501", 2, "canary", "bronze"),
      count("waited", "16s", 2, "canary", "bronze"),
      count("waited", "4s", 3, "canary", "bronze"),
      count("tokens", "completion", 500, "canary", "gold"),
      count("tokens", "prompt", 7000, "canary", "gold"),
      count("rate_limit_admitted", "gold", 100),
      count("rate_limit_refused", "bronze", 20),
    ],
    histograms: [
      {
        name: "time_to_first_token_ms",
        route: route.name,
        variant: "canary",
        tier: "gold",
        index: [bucketOf(200), bucketOf(900)],
        count: [BigInt(90 * seconds), BigInt(10 * seconds)],
      },
    ],
  });
}

function run(seconds: number): void {
  for (let i = 0; i < seconds; i++) {
    nowMs += 1000;
    ledger.add(after((nowMs - 1_000_000) / 1000));
    if (i % 5 === 4) history.sample([route]);
  }
}

describe("signals", () => {
  it("are rates and quantiles of the last minute, by variant and tier", () => {
    run(120);
    const { total, variants, tiers } = history.signals(route);
    expect(total?.requestsPerSecond).toBeCloseTo(100, 5);
    expect(total?.errorPercent).toBeCloseTo(3, 5);
    const [stable, canary] = variants;
    expect(stable?.signals?.requestsPerSecond).toBeCloseTo(90, 5);
    expect(stable?.signals?.errorPercent).toBe(0);
    expect(stable?.signals?.timeToFirstTokenMs?.p95).toBeUndefined();
    expect(canary?.signals?.errorPercent).toBeCloseTo(30, 5);
    expect(canary?.signals?.refusedPercent).toBeCloseTo(50, 5);
    expect(canary?.signals?.waitedSeconds).toBe(16);
    expect(stable?.signals?.refusedPercent).toBe(0);
    expect(stable?.signals?.waitedSeconds).toBeUndefined();
    expect(canary?.signals?.tokensPerSecond).toBeCloseTo(500, 5);
    // Two percent is what the sketch promises.
    expect((canary?.signals?.timeToFirstTokenMs?.p50 ?? 0) / 200).toBeCloseTo(1, 1);
    expect((canary?.signals?.timeToFirstTokenMs?.p95 ?? 0) / 900).toBeCloseTo(1, 1);
    expect(tiers).toMatchObject([
      { tier: "bronze", admittedPerSecond: 0, refusedPerSecond: 20 },
      { tier: "gold", admittedPerSecond: 100, refusedPerSecond: 0 },
    ]);
  });
  it("say nothing of what was not measured", () => {
    const { total, variants } = history.signals(route);
    expect(total).toMatchObject({ requestsPerSecond: 0, tokensPerSecond: 0 });
    expect(total?.errorPercent).toBeUndefined();
    expect(variants.map(({ variant }) => variant)).toEqual(["stable", "canary"]);
  });
});

describe("history", () => {
  it("has a point every five seconds, and a gap where nothing was measured", () => {
    run(60);
    const { at, series } = history.history(route.name);
    // The first look has nothing to compare with.
    expect(at).toHaveLength(11);
    const values = (signal: string, variant: string) =>
      series.find((each) => each.signal === signal && each.variant === variant)?.values;
    expect(values("requests_per_second", "canary")?.at(-1)).toBeCloseTo(10, 5);
    expect(values("time_to_first_token_p95_ms", "stable")?.at(-1)).toBeNaN();
    expect(values("refused_per_second", "")?.at(-1)).toBeCloseTo(20, 5);
  });
  it("is bounded in time, and forgets routes that are gone", () => {
    run(1200);
    expect(history.history(route.name).at).toHaveLength(180);
    history.sample([]);
    expect(history.history(route.name).at).toHaveLength(0);
  });
});

it("shows what another variant answered as failed, of the variant and not of the route", () => {
  const count = (label: string, total: number) =>
    [label, { name: "responses", label, variant: "canary", tier: "", total }] as const;
  const window: Observation = {
    atMs: 0,
    counters: new Map([count("2xx", 6), count("fallback", 4)]),
    distributions: new Map(),
  };
  const { total, variants } = signalsOf("inference/chat", ["canary"], window, 1);
  expect(total?.errorPercent).toBe(0);
  expect(variants[0]?.signals?.errorPercent).toBe(40);
});
