import { describe, expect, it } from "vitest";
import { durationMs, judge, parseObjective, parseStages } from "../../control/load/index.ts";
import { arrivals } from "../../control/load/stages.ts";

describe("stages", () => {
  it("have the rates and durations that are written", () => {
    expect(parseStages("100:30s, 500:1m,1000", 20_000)).toEqual([
      { requestsPerSecond: 100, durationMs: 30_000 },
      { requestsPerSecond: 500, durationMs: 60_000 },
      { requestsPerSecond: 1000, durationMs: 20_000 },
    ]);
  });
  it.each([
    ["", 'stage "" must be requests per second above 0, such as 100 or 100:30s'],
    ["0", 'stage "0" must be requests per second above 0, such as 100 or 100:30s'],
    ["-5:1s", 'stage "-5:1s" must be requests per second above 0, such as 100 or 100:30s'],
    ["1e9", 'stage "1e9" must be requests per second above 0, such as 100 or 100:30s'],
    ["200000", 'stage "200000": 200000 requests per second is above the limit of 100000'],
    ["10:5", '"5" is not a duration: use for example 500ms, 30s or 5m'],
    ["10:25h", '"25h" is longer than the limit of 24h'],
    [Array(51).fill("1").join(","), "51 stages: at most 50 are allowed"],
  ])("refuse %j and say why", (text, message) => {
    expect(() => parseStages(text, 1000)).toThrow(message);
  });
  it("begin requests as a Poisson process of that rate", () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    const stage = { requestsPerSecond: 500, durationMs: 100_000 };
    const times = [...arrivals(stage, random)];
    // 50,000 expected, with a standard deviation of 224.
    expect(Math.abs(times.length - 50_000)).toBeLessThan(5 * 224);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    // An exponential distribution's standard deviation is its mean.
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1);
    expect(times.every((time) => time < stage.durationMs)).toBe(true);
  });
});

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["1.5m", 90_000],
    ["2h", 7_200_000],
  ])("%s", (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });
});

describe("objectives", () => {
  const percentiles = { p50: 10, p95: 400, p99: 900 };
  const signals = {
    errors: 0.004,
    refusals: 0.2,
    latencyMs: percentiles,
    firstTokenMs: { p50: Number.NaN, p95: Number.NaN, p99: Number.NaN },
  };
  it.each([
    ["errors<1%", 0.4, true],
    ["errors<0.4%", 0.4, false],
    ["refusals < 10%", 20, false],
    ["p99<1s", 900, true],
    ["p95<400ms", 400, false],
  ])("%s", (text, value, held) => {
    expect(judge([parseObjective(text)], signals)).toMatchObject([{ value, held }]);
  });
  it("are missed where nothing was measured", () => {
    expect(judge([parseObjective("first-token-p95<1s")], signals)[0]?.held).toBe(false);
  });
  it.each(["p99<1%", "errors<5ms", "p98<1s", "p99", "p99>1s", "p99<-1s"])("refuse %j", (text) => {
    expect(() => parseObjective(text)).toThrow(/^objective ".*" must be NAME<LIMIT/);
  });
});
