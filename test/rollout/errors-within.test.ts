import { describe, expect, it } from "vitest";
import type { Observation } from "../../control/report/index.ts";
import { judge } from "../../control/rollout/judge/judge.ts";
import { side } from "./observation.ts";

const successRate = (canary: Observation, stable: Observation) =>
  judge(undefined, { canary, stable }, []).find(({ check }) => check === "success-rate");

describe("the success rate", () => {
  const good = side(["responses", "2xx", 400]);

  it("counts answers of 200 that tell of an error as failed", () => {
    const canary = side(["responses", "2xx", 100], ["failed_answers", "error", 40]);
    expect(successRate(canary, good)).toMatchObject({ outcome: "fail", canary: 60, stable: 100 });
  });

  it("adds them to those that failed by their status", () => {
    const canary = side(
      ["responses", "2xx", 90],
      ["responses", "5xx", 10],
      ["failed_answers", "error", 20],
    );
    expect(successRate(canary, good)?.canary).toBeCloseTo(70, 5);
  });

  it("holds them against what the stable variant's users get", () => {
    const failing = side(["responses", "2xx", 400], ["failed_answers", "error", 40]);
    expect(successRate(failing, failing)).toMatchObject({ canary: 90, stable: 90 });
    expect(successRate(failing, failing)?.outcome).not.toBe("fail");
  });

  it("is never below nothing, where streams of an earlier window fail", () => {
    const canary = side(["responses", "2xx", 30], ["failed_answers", "error", 50]);
    expect(successRate(canary, good)).toMatchObject({ canary: 0, canarySample: 30 });
  });

  it("counts answers that another variant gave in its place as failed", () => {
    const canary = side(["responses", "2xx", 60], ["responses", "fallback", 40]);
    expect(successRate(canary, good)).toMatchObject({ outcome: "fail", canary: 60, stable: 100 });
  });

  it("has no failure in a 501, which says that the server has no such endpoint", () => {
    const canary = side(["responses", "2xx", 300], ["responses", "501", 300]);
    expect(successRate(canary, good)).toMatchObject({ outcome: "pass", canary: 100 });
  });
});
