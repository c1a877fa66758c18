import { describe, expect, it } from "vitest";
import { createAnswers } from "./invariants/answers.ts";
import { createBounds, type Done, type Holding, heldSamples } from "./invariants/bounds.ts";
import { createDataPlane } from "./invariants/data-plane.ts";
import { checkIdle } from "./invariants/idle.ts";
import { createIsolation } from "./invariants/isolation.ts";
import { createNewestState } from "./invariants/newest-state.ts";
import { collectViolations } from "./invariants/violation.ts";
import { createStates } from "./states.ts";

// A watch that cannot bark proves nothing: every invariant is fed a history that
// breaks it, beside the one like it that does not.

const collected = () => {
  const { violated, all } = collectViolations();
  return { violated, told: () => all().map(({ who, what }) => `${who}: ${what}`) };
};

describe("newest-state", () => {
  const route = "quiet-a/chat";
  function history() {
    let now = 0;
    const states = createStates(() => now);
    const { violated, told } = collected();
    const newest = createNewestState({ states, nowMs: () => now, boundMs: 5_000, violated });
    return {
      states,
      told,
      newest,
      at(ms: number) {
        now = ms;
      },
      look(runs: string | undefined, connected: { ms?: number } = { ms: 0 }) {
        newest.check([{ node: "n", connectedMs: connected.ms, routes: [route], runs: () => runs }]);
      },
    };
  }

  it("judges a proxy by when it was looked at", () => {
    const { states, told, at, newest } = history();
    states.record(route, 1, "a", "ada");
    at(1_000);
    states.record(route, 2, "b", "ada");
    at(9_000);
    const seen = { node: "n", connectedMs: 0, routes: [route], runs: () => "a" };
    newest.check([{ ...seen, atMs: 6_000 }]);
    expect(told()).toEqual([]);
    newest.check([{ ...seen, atMs: 6_001 }]);
    expect(told()).toHaveLength(1);
  });

  it("lets a proxy be as far behind as the bound, and no further", () => {
    const { states, told, at, look } = history();
    states.record(route, 1, "a", "ada");
    at(1_000);
    states.record(route, 2, "b", "ada");
    at(6_000);
    look("a");
    expect(told()).toEqual([]);
    at(6_001);
    look("a");
    expect(told()).toEqual([
      "n quiet-a/chat: runs a, while b (etag 2, by ada) should have come 1 ms ago",
    ]);
  });

  it("counts from when the proxy connected, and not while it has no stream", () => {
    const { states, told, at, look } = history();
    states.record(route, 1, "a", "ada");
    states.record(route, 2, "b", "ada");
    at(20_000);
    look("a", { ms: 16_000 });
    look("a", {});
    expect(told()).toEqual([]);
    look("a", { ms: 14_000 });
    expect(told()).toHaveLength(1);
  });

  it("counts from the oldest state that it did not take, not from the newest", () => {
    const { states, told, at, look } = history();
    for (const [order, ms] of [0, 3_000, 6_000].entries()) {
      at(ms);
      states.record(route, order, String(order), "ada");
    }
    at(8_500);
    look("0");
    expect(told()).toHaveLength(1);
  });

  it("tells of what nobody ever wrote, after a while, and of what is not there at all", () => {
    const { states, told, at, look } = history();
    states.record(route, 1, "a", "ada");
    look("never written");
    look(undefined);
    expect(told()).toEqual([]);
    at(5_001);
    look(undefined);
    expect(told()).toHaveLength(1);
  });

  it("gives a proxy that lost its stream before it had a new route the bound from when it came back", () => {
    const { states, told, at, look } = history();
    states.record(route, 1, "a", "ada");
    look(undefined);
    at(4_000);
    look(undefined, {});
    at(12_000);
    look(undefined, { ms: 7_000 });
    expect(told()).toEqual([]);
    at(12_001);
    look(undefined, { ms: 7_000 });
    expect(told()).toHaveLength(1);
  });

  it("gives a proxy that turns to what looks like an old state the bound, as it may be ahead", () => {
    const { states, told, at, look } = history();
    states.record(route, 1, "a", "ada");
    at(1_000);
    states.record(route, 2, "b", "ada");
    at(2_000);
    look("b");
    at(30_000);
    look("a");
    expect(told()).toEqual([]);
    at(35_001);
    look("a");
    expect(told()).toHaveLength(1);
  });

  it("takes a state that was known late as followed from when the next was known", () => {
    const { states, told, at, look } = history();
    states.record(route, 3, "c", "ada");
    at(9_000);
    states.record(route, 2, "b", "read");
    expect(states.latest(route)?.print).toBe("c");
    look("b");
    expect(told()).toHaveLength(1);
  });
});

describe("isolation", () => {
  it("finds another's namespace in the bytes, and nothing in one's own or where all may be seen", () => {
    const { violated, told } = collected();
    const isolation = createIsolation(["quiet-a", "rude-c"], violated);
    const bytes = Buffer.from("\u0000\u0001virtual host quiet-a/chat\u00ff");
    isolation.saw("n", ["quiet-a"], "RDS", bytes);
    isolation.saw("n", ["*"], "RDS", bytes);
    expect(told()).toEqual([]);
    isolation.saw("n", ["rude-c"], "RDS", bytes);
    expect(told()).toEqual(["n RDS: may see rude-c and was shown quiet-a"]);
  });
});

describe("answers", () => {
  it("tells of a service that is silent beyond the bound, and of one that ended", () => {
    let now = 0;
    const { violated, told } = collected();
    const answers = createAnswers(() => now, 5_000, violated);
    now = 5_000;
    answers.check();
    answers.answered();
    now = 10_000;
    answers.check();
    expect(told()).toEqual([]);
    now = 10_001;
    answers.check();
    expect(told()).toHaveLength(1);
    const other = collected();
    createAnswers(() => now, 5_000, other.violated).ended("SIGABRT");
    expect(other.told()).toEqual(["the control service: ended on its own: SIGABRT"]);
  });
});

describe("bounds", () => {
  const start: Holding = { rssMiB: 100, descriptors: 50, storeBytes: 1e5, auditEntries: 10 };
  const done: Done = { writes: 1_000, rolloutSteps: 0, mayBeTakenBack: 0, connections: 100 };
  it.each([
    ["rssMiB", 400],
    ["descriptors", 300],
    ["storeBytes", 1e9],
    ["auditEntries", 1_001],
  ] as const)("tells of more %s than what people did explains", (key, value) => {
    const { violated, told } = collected();
    const bounds = createBounds(violated);
    bounds.sample(start, done);
    bounds.sample({ ...start, auditEntries: 1_000 }, done);
    expect(told()).toEqual([]);
    for (let i = 0; i < heldSamples; i++) bounds.sample({ ...start, [key]: value }, done);
    expect(told().length).toBeGreaterThan(0);
    expect(told()[0]).toContain(key);
  });

  it("lets memory be more for a moment, as garbage is", () => {
    const { violated, told } = collected();
    const bounds = createBounds(violated);
    for (let i = 0; i < 3 * heldSamples; i++)
      bounds.sample({ ...start, rssMiB: i % heldSamples ? 700 : 300 }, done);
    expect(told()).toEqual([]);
  });
});

describe("idle", () => {
  const quiet = { overMs: 4_000, cpuMs: 400, sent: 0, written: 0 };
  it.each([
    ["cpuMs", 2_000],
    ["sent", 1],
    ["written", 1],
  ] as const)("tells of %s while nobody does anything", (key, value) => {
    const { violated, told } = collected();
    checkIdle(quiet, violated);
    expect(told()).toEqual([]);
    checkIdle({ ...quiet, [key]: value }, violated);
    expect(told()).toHaveLength(1);
  });
});

describe("data-plane", () => {
  it("tells of the first request that failed", () => {
    const { violated, told } = collected();
    const dataPlane = createDataPlane(violated);
    dataPlane.failed("quiet-a/chat", "status 503");
    expect(told()).toEqual(["quiet-a/chat: a request failed: status 503"]);
    expect(dataPlane.failures()).toBe(1);
  });

  it.each([
    ["all went to one variant", 0],
    ["the split is off by half", 0.45],
  ])("tells when %s although the weights say 30 %%", (_, canary) => {
    const { violated, told } = collected();
    const dataPlane = createDataPlane(violated);
    const ask = (share: number) => {
      for (let i = 0; i < 1_000; i++)
        dataPlane.answered("r", (i * 0.618) % 1 < share ? "canary" : "stable", 0.3);
    };
    ask(0.3);
    dataPlane.check();
    expect(told()).toEqual([]);
    ask(canary);
    dataPlane.check();
    expect(told()).toHaveLength(1);
  });

  it("counts nothing while the weights change", () => {
    const { violated, told } = collected();
    const dataPlane = createDataPlane(violated);
    for (let i = 0; i < 100; i++) dataPlane.answered("r", "canary", undefined);
    dataPlane.check();
    expect(told()).toEqual([]);
  });
});
