import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { openStore } from "../../control/store/index.ts";
import { generator } from "../random.ts";

/** Stores that are written when their writer is killed; `npm run test:long` asks for 10,000. */
const kills = Number(process.env.WEIR_KILLS ?? 48);
/** One process writes so many stores at once, each by itself: most of a kill's time is the start of a process. */
const storesPerProcess = 16;
/** Stores live through this many kills: what one breaks the next ones would show. */
const killsPerStore = 50;

/** A store's directory, and how many writes it has. */
interface Written {
  directory: string;
  writes: number;
}

/** What a writer said of a store. */
interface Acknowledged {
  name: string;
  etag: number;
  count: number;
}

/** Lets a writer make some writes, then kills it a moment later, wherever it is in each store. */
async function killed(stores: readonly Written[], afterWrites: number, afterMs: number) {
  const args = stores.flatMap(({ directory, writes }) => [directory, String(writes)]);
  const child = spawn(process.execPath, ["test/faults/writer.js", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    // As many writes at once as there are stores.
    env: { ...process.env, UV_THREADPOOL_SIZE: String(stores.length) },
  });
  let output = "";
  let started: () => void = () => {};
  const writing = new Promise<void>((resolve) => {
    started = resolve;
  });
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
    if (output.split("\n").length > afterWrites) started();
  });
  const gone = new Promise((resolve) => child.once("close", resolve));
  await Promise.race([writing, gone]);
  await sleep(afterMs);
  child.kill("SIGKILL");
  await gone;
  const lines = output.split("\n").filter((line) => / n\//.test(line));
  return stores.map((_, number) =>
    lines
      .map((line) => line.split(" ") as [string, string, string, string])
      .filter(([store]) => store === String(number))
      .map(([, name, etag, count]) => ({ name, etag: Number(etag), count: Number(count) })),
  );
}

/** Holds a store to what was acknowledged; how many writes it has, and how many are lost. */
async function check(
  { directory, writes }: Written,
  acks: readonly Acknowledged[],
): Promise<{ writes: number; lost: number }> {
  const store = openStore(`lmdb:${directory}`);
  const entries = (await store.audit("", 10_000_000)).reverse();
  const { routes, sequence } = await store.list();
  await store.close();
  // Every write there is, in one row without a gap.
  expect(entries.map((entry) => Number(entry.sequence))).toEqual(entries.map((_, at) => at + 1));
  expect(sequence).toBe(BigInt(entries.length));
  const lost = acks.filter(({ name, etag, count }) => {
    const entry = entries[etag - 1];
    return entry?.name !== name || entry.after?.buckets[0]?.count !== count;
  });
  // At most the one that was under way is there without its acknowledgement.
  expect(entries.length - writes - acks.length).toBeLessThanOrEqual(1);
  // The routes are as the newest entries say.
  const newest = new Map(entries.map((entry) => [entry.name, entry.after]));
  expect(routes).toEqual(
    [...newest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, state]) => state),
  );
  return { writes: entries.length, lost: lost.length };
}

it(`D1: ${kills} stores whose writer is killed have every acknowledged write, each whole and once`, {
  timeout: 60_000 + kills * 3_000,
}, async () => {
  const random = generator(7);
  let acknowledged = 0;
  let unacknowledged = 0;
  let lost = 0;
  let told = 0;
  for (let done = 0; done < kills; ) {
    const stores: Written[] = Array.from({ length: storesPerProcess }, () => ({
      directory: mkdtempSync(join(tmpdir(), "weir-kills-")),
      writes: 0,
    }));
    for (let i = 0; i < killsPerStore && done < kills; i++, done += stores.length) {
      const acks = await killed(stores, Math.floor(random() * 80), random() * 10);
      for (const [number, store] of stores.entries()) {
        const had = store.writes;
        const found = await check(store, acks[number] ?? []);
        store.writes = found.writes;
        lost += found.lost;
        acknowledged += acks[number]?.length ?? 0;
        unacknowledged += found.writes - had - (acks[number]?.length ?? 0);
      }
      if (done - told >= 1_000) {
        told = done;
        console.log(`${done} stores killed, ${acknowledged} acknowledged, ${lost} lost`);
      }
    }
    for (const { directory } of stores) rmSync(directory, { recursive: true });
  }
  console.log(
    `${kills} stores killed, ${acknowledged} writes acknowledged, ${lost} lost, ${unacknowledged} there without an acknowledgement`,
  );
  expect(lost).toBe(0);
  expect(acknowledged).toBeGreaterThan(0);
});
