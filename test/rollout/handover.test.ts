import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openStore } from "../../control/store/index.ts";
import { everyStep, startReplicated, startWalk, untilDone, untilStep } from "./replicated.ts";

const patience = { timeout: 240_000 };

/** What a process is told so that its time of day is wrong; timers go by the clock that never jumps. */
const wrongTime = () => ({
  LD_PRELOAD: execFileSync("faketime", ["-f", "+0", "printenv", "LD_PRELOAD"], {
    encoding: "utf8",
  }).trim(),
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
});

/** Two replicas in the middle of a rollout. */
async function startWalking() {
  const world = await startReplicated(2);
  await world.start(0);
  await world.start(1);
  await world.leader();
  await startWalk(world, "2s");
  await untilStep(world, 1);
  return world;
}

describe("D7: clocks that differ", patience, () => {
  it("by ten minutes between two replicas skip, shorten and double no step, also over a kill", async () => {
    const world = await startReplicated(2);
    await world.start(0, { ...wrongTime(), FAKETIME: "+5m" });
    await world.start(1, { ...wrongTime(), FAKETIME: "-5m" });
    await world.leader();
    await startWalk(world, "2s");
    const times = [await untilStep(world, 1)];
    const leader = await world.leader();
    leader.child.kill("SIGKILL");
    await leader.ended;
    for (const step of [2, 3]) times.push(await untilStep(world, step));
    await untilDone(world);
    expect(await world.taken()).toEqual(everyStep);
    const [first = 0, second = 0, third = 0] = times;
    // A step may be seen a moment late, and so the next one a moment early.
    expect(Math.min(second - first, third - second)).toBeGreaterThan(1_700);
  });

  it("from themselves, when the time of day jumps a day on and two back, do so neither", async () => {
    const directory = mkdtempSync(join(tmpdir(), "weir-clock-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const clock = join(directory, "clock");
    writeFileSync(clock, "+0\n");
    const world = await startReplicated(1);
    await world.start(0, {
      ...wrongTime(),
      FAKETIME_TIMESTAMP_FILE: clock,
      FAKETIME_NO_CACHE: "1",
    });
    await startWalk(world, "2s");
    const times = [await untilStep(world, 1)];
    writeFileSync(clock, "+1d\n");
    times.push(await untilStep(world, 2));
    writeFileSync(clock, "-1d\n");
    times.push(await untilStep(world, 3));
    await untilDone(world);
    expect(await world.taken()).toEqual(everyStep);
    const [first = 0, second = 0, third = 0] = times;
    expect(Math.min(second - first, third - second)).toBeGreaterThan(1_700);
    // The audit has the jumps, so they did happen, and its order is that of the writes all the same.
    const { entries } = await world.any().audit.listAudit({ name: "chat", limit: 100 });
    const days = entries.map(({ at }) => Number(at?.seconds ?? 0n) / 86_400);
    expect(Math.max(...days) - Math.min(...days)).toBeGreaterThan(1.9);
    expect(entries.map(({ sequence }) => Number(sequence))).toEqual(
      entries.map((_, i) => entries.length - i),
    );
  });
});

describe("D8: a replica that is told to end", patience, () => {
  it("in the middle of a rollout hands over within ten seconds", async () => {
    const world = await startWalking();
    const leader = await world.leader();
    const toldMs = performance.now();
    leader.child.kill("SIGTERM");
    expect(await leader.ended).toBe(0);
    expect(performance.now() - toldMs).toBeLessThan(10_000);
    expect(await world.leader()).not.toBe(leader);
    expect(performance.now() - toldMs).toBeLessThan(10_000);
    await untilDone(world);
    expect(await world.taken()).toEqual(everyStep);
  });

  it("twice ends at once", async () => {
    const world = await startReplicated(1);
    const { child, ended } = await world.start(0);
    await world.leader();
    // An etcd that answers nothing holds up an end in good order: the term is not given up.
    world.etcd.pause(0);
    const toldMs = performance.now();
    const again = setInterval(() => child.kill("SIGTERM"), 20);
    const code = await ended;
    clearInterval(again);
    world.etcd.resume(0);
    expect(code).toBe(130);
    expect(performance.now() - toldMs).toBeLessThan(5_000);
  });
});

it(
  "D9: an upgrade of all replicas, one after the other, in the middle of a rollout loses no step, no field of a newer version, and no stream for longer than a reconnect",
  patience,
  async () => {
    const world = await startWalking();
    // A newer version was here and left what this one does not know: field 1000, the word "new".
    const store = openStore(world.etcd.address("weir"));
    onTestFinished(() => store.close());
    const unknown = [{ no: 1000, wireType: 2, data: Uint8Array.from([3, 110, 101, 119]) }];
    const written = await (async function write(): Promise<string> {
      const before = await store.getRollout("inference/chat");
      if (before === undefined) throw new Error("the rollout is gone");
      const rollout = { ...before, $unknown: unknown };
      const author = { principal: "newer", reason: "upgrade" };
      return store
        .putRollout("inference/chat", { rollout, etag: before.etag }, "note", author)
        .then(({ rollout }) => rollout.etag, write);
    })();
    expect(Number(written)).toBeGreaterThan(0);
    for (const place of [0, 1]) {
      const replica = world.replicas[place];
      replica?.child.kill("SIGTERM");
      expect(await replica?.ended).toBe(0);
      await world.start(place);
    }
    await untilDone(world);
    expect(await world.taken()).toEqual(everyStep);
    const after = await store.getRollout("inference/chat");
    expect(after?.$unknown?.map(({ no, data }) => [no, Buffer.from(data).toString()])).toEqual([
      [1000, "\u0003new"],
    ]);
    expect(world.proxy.longestGapMs).toBeGreaterThan(0);
    expect(world.proxy.longestGapMs).toBeLessThan(5_000);
    console.log(`longest time without a stream: ${Math.round(world.proxy.longestGapMs)} ms`);
  },
);
