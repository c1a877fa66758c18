import { describe, expect, it } from "vitest";
import type { Verdict } from "../../control/gen/weir/v1/rollout_pb.ts";
import { judge } from "../../control/rollout/judge/judge.ts";
import { side } from "./observation.ts";

const hangs = (
  canary: ReturnType<typeof side>,
  stable: ReturnType<typeof side>,
  earlier: Verdict[] = [],
) => judge(undefined, { canary, stable }, earlier).find(({ check }) => check.startsWith("hangs"));

describe("the check of hangs", () => {
  const good = side(["responses", "2xx", 400]);
  const nothing = side();

  it("fails a canary of which nothing has come but that its requests wait", () => {
    const canary = side(["waited", "4s", 40]);
    expect(hangs(canary, good)).toMatchObject({ outcome: "fail", canary: 100, canarySample: 40 });
  });

  it("sees what hung before it looked when that has waited for twice as long", () => {
    // The stable variant's slowest take up to 8 s, and all of these had by then.
    const slow = side(["responses", "2xx", 400], ["waited", "4s", 30]);
    const canary = side(["waited", "16s", 40]);
    expect(hangs(canary, slow)).toMatchObject({ check: "hangs over 8s", outcome: "fail" });
  });

  it("counts a request once, however many waits it reaches", () => {
    const canary = side(
      ["responses", "2xx", 60],
      ["waited", "4s", 40],
      ["waited", "8s", 40],
      ["waited", "16s", 39],
    );
    expect(hangs(canary, good)).toMatchObject({ canary: 40, canarySample: 100 });
  });

  it("goes by an earlier step's limit where all users hang on the canary", () => {
    const before = hangs(side(["responses", "2xx", 400]), good);
    const canary = side(["waited", "4s", 40]);
    expect(hangs(canary, nothing, before && [before])).toMatchObject({ outcome: "fail" });
  });

  it("says nothing of a route on which nothing happens", () => {
    expect(hangs(nothing, nothing)).toBeUndefined();
  });
});
