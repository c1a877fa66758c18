import { describe, expect, it } from "vitest";
import {
  bucketOf,
  countOf,
  distributionOf,
  emptyDistribution,
  mean,
  quantile,
  shareAbove,
  sumOf,
  valueOfBucket,
} from "../../control/report/index.ts";

/** Log-normal values, the same each time. */
function values(count: number, median: number, seed = 1): number[] {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state + 1) / 2 ** 31;
  };
  return Array.from(
    { length: count },
    () => median * Math.exp(Math.sqrt(-2 * Math.log(random())) * Math.cos(6.2831853 * random())),
  );
}

describe("a distribution", () => {
  it("stands for every value to 2 %", () => {
    for (const value of [0.001, 0.5, 1, 1.02, 7, 1000, 1e6, 123_456_789])
      expect(Math.abs(valueOfBucket(bucketOf(value)) / value - 1)).toBeLessThanOrEqual(0.0200001);
  });

  it.each([0, 0.01, 0.5, 0.9, 0.99, 1])("tells quantile %d to 2 %", (q) => {
    const sample = values(10_000, 200).sort((a, b) => a - b);
    const exact = sample[Math.min(9999, Math.max(0, Math.ceil(q * 10_000) - 1))] ?? 0;
    const told = quantile(distributionOf(sample), q) ?? 0;
    expect(Math.abs(told / exact - 1)).toBeLessThanOrEqual(0.0200001);
  });

  it("tells the mean to 2 % and the share above a limit", () => {
    const sample = values(10_000, 200);
    const exact = sample.reduce((sum, each) => sum + each, 0) / sample.length;
    expect(Math.abs((mean(distributionOf(sample)) ?? 0) / exact - 1)).toBeLessThan(0.0200001);
    const above = sample.filter((each) => each > 500).length / sample.length;
    expect(shareAbove(distributionOf(sample), 500)).toBeCloseTo(above, 1);
  });

  it("is the same whether values or distributions are put together", () => {
    const [a, b] = [values(1000, 50, 3), values(1000, 800, 4)];
    expect(sumOf([distributionOf(a), distributionOf(b)])).toEqual(distributionOf([...a, ...b]));
  });

  it("counts what is 0 apart", () => {
    const distribution = distributionOf([0, 0, 0, 10]);
    expect(countOf(distribution)).toBe(4);
    expect(quantile(distribution, 0.5)).toBe(0);
    expect(quantile(distribution, 1)).toBeCloseTo(10, 0);
    expect(quantile(emptyDistribution, 0.5)).toBeUndefined();
    expect(mean(emptyDistribution)).toBeUndefined();
    expect(shareAbove(emptyDistribution, 1)).toBeUndefined();
  });
});
