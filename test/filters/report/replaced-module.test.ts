import { describe, expect, it } from "vitest";
import { createSharedState, type SharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { compiled } from "../module.ts";

// A module that is replaced by another, or by a newer version of itself, lives on for as
// long as one of its streams does: minutes, where pods hang. It must not speak for the proxy.

const second = 1_000_000_000n;

/** The workers of a module on one proxy, with a configuration. */
function load(shared: SharedState, module: string, revision: string, count = 2): Worker[] {
  return Array.from({ length: count }, () => {
    const worker = startWorker(compiled(module), shared);
    configure(worker, revision);
    return worker;
  });
}

function configure(worker: Worker, revision: string, root = 1): void {
  const report = { cluster: "weir_control", authority: "weir" };
  expect(worker.configure(root, JSON.stringify({ revision, report, routes: [] }))).toBe(true);
}

/** The revisions that are told while every worker ticks, in any order, so many times. */
function toldBy(
  shared: SharedState,
  workers: Worker[],
  root: (worker: Worker) => number,
): string[] {
  const before = shared.httpCalls.length;
  for (let i = 0; i < 6; i++) {
    shared.nowNs += second;
    const order = i % 2 === 0 ? workers : workers.toReversed();
    for (const worker of order) worker.tick(root(worker));
  }
  return shared.httpCalls.slice(before).map(({ body }) => JSON.parse(body).revision);
}

describe.each([
  ["weir", "weir-full"],
  ["weir", "weir"],
  ["token-limit", "token-limit"],
])("%s, replaced by %s while its streams live on,", (before, after) => {
  it("says nothing more", () => {
    const shared = createSharedState();
    const old = load(shared, before, "old");
    expect(new Set(toldBy(shared, old, () => 1))).toEqual(new Set(["old"]));
    const next = load(shared, after, "next");
    const told = toldBy(shared, [...old, ...next], () => 1);
    // One speaks at a time: the first tick may come before those of who was configured later.
    expect(new Set(told.slice(2))).toEqual(new Set(["next"]));
    expect(told.length).toBeLessThanOrEqual(8);
  });

  it("speaks again once it is configured again", () => {
    const shared = createSharedState();
    const old = load(shared, before, "old");
    const next = load(shared, after, "next");
    toldBy(shared, [...old, ...next], () => 1);
    for (const worker of old) configure(worker, "old again", 2);
    const root = (worker: Worker) => (old.includes(worker) ? 2 : 1);
    const told = toldBy(shared, [...old, ...next], root).slice(2);
    expect(new Set(told)).toEqual(new Set(["old again"]));
  });

  it("speaks again three seconds after the other is gone", () => {
    const shared = createSharedState();
    const old = load(shared, before, "old");
    const next = load(shared, after, "next");
    toldBy(shared, [...old, ...next], () => 1);
    expect(toldBy(shared, old, () => 1).length).toBeGreaterThanOrEqual(3);
  });
});
