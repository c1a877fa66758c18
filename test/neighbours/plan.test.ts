import { describe, expect, it } from "vitest";
import { disturbances, disturbancesFor } from "./disturbances/index.ts";
import { fairMs } from "./fair-clock.ts";
import { planOf } from "./plan.ts";

describe("a plan", () => {
  it("is the same for the same seed, and another for another", () => {
    const plan = (seed: number) => planOf(seed, 60_000, disturbances);
    expect(plan(7)).toEqual(plan(7));
    expect(plan(7).steps.map(({ name }) => name)).not.toEqual(
      plan(8).steps.map(({ name }) => name),
    );
  });

  it("has every disturbance at least once, in the order of their times, however short it is", () => {
    for (const seconds of [15, 40, 3_600]) {
      const { steps } = planOf(seconds, seconds * 1_000, disturbances);
      expect(new Set(steps.map(({ name }) => name)).size).toBe(disturbances.length);
      expect(steps.map(({ atMs }) => atMs)).toEqual(
        steps.map(({ atMs }) => atMs).sort((a, b) => a - b),
      );
    }
  });

  it("goes on for as long as it is asked to", () => {
    const { steps } = planOf(1, 3_600_000, disturbances);
    expect(steps.length).toBeGreaterThan(600);
    expect(steps.at(-1)?.atMs).toBeGreaterThan(3_500_000);
  });

  it("lets those that end the service wait for each other", () => {
    const lasts = new Map(disturbances.map((each) => [each.name, each]));
    const alone = planOf(3, 60_000, disturbances).steps.filter(
      ({ name }) => lasts.get(name)?.alone,
    );
    for (const [i, { atMs, name }] of alone.entries())
      expect(alone[i + 1]?.atMs ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(
        atMs + (lasts.get(name)?.lastsMs ?? 0),
      );
  });

  it("is refused when the time is too short for one of them, and empty without any", () => {
    expect(() => planOf(1, 1_000, disturbances)).toThrow("too short");
    expect(planOf(1, 1_000, []).steps).toEqual([]);
  });

  it("names what is unknown, and leaves out what does not fit the store", () => {
    expect(() => disturbancesFor("lmdb", "refuses-al")).toThrow("no disturbance is called");
    expect(disturbancesFor("lmdb", "kill,storm").map(({ name }) => name)).toEqual([
      "storm",
      "kill",
    ]);
    const names = (store: "lmdb" | "etcd") => disturbancesFor(store).map(({ name }) => name);
    expect(names("etcd")).toContain("hostile-etcd");
    expect(names("lmdb")).not.toContain("hostile-etcd");
    expect(new Set(disturbances.map(({ name }) => name)).size).toBe(disturbances.length);
  });
});

describe("the clock that counts only time in which the service could work", () => {
  it.each([
    ["all of it while it has a core", { wallMs: 50, lateMs: 0, waitedMs: 0, up: true }, 50],
    ["not what it waited for a core", { wallMs: 80, lateMs: 0, waitedMs: 60, up: true }, 20],
    ["not what the suite itself was late", { wallMs: 500, lateMs: 445, waitedMs: 0, up: true }, 55],
    ["nothing while it is down", { wallMs: 50, lateMs: 0, waitedMs: 0, up: false }, 0],
    ["never less than nothing", { wallMs: 50, lateMs: 20, waitedMs: 60, up: true }, 0],
  ])("counts %s", (_, tick, counted) => {
    expect(fairMs(tick)).toBe(counted);
  });
});
