import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { openStore } from "../../control/store/index.ts";
import { seeded } from "./random.ts";

/** `npm run test:long` asks for 10,000. */
const kills = Number(process.env.WEIR_KILLS ?? 12);
/** A store lives through this many kills: what one breaks the next ones would show. */
const killsPerStore = 50;

/** Lets a writer make some writes, then kills it a moment later, wherever it is. */
async function killed(address: string, first: number, afterWrites: number, afterMs: number) {
  const child = spawn(process.execPath, ["test/faults/writer.js", address, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  let started: () => void = () => {};
  const writing = new Promise<void>((resolve) => {
    started = resolve;
  });
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
    if (output.split("\n").length - 2 >= afterWrites) started();
  });
  const gone = new Promise((resolve) => child.once("close", resolve));
  await Promise.race([writing, gone]);
  await sleep(afterMs);
  child.kill("SIGKILL");
  await gone;
  return output
    .split("\n")
    .filter((line) => line.startsWith("n/"))
    .map((line) => line.split(" ") as [string, string, string])
    .map(([name, etag, count]) => ({ name, etag, count: Number(count) }));
}

it(`D1: a store whose writer is killed ${kills} times has every acknowledged write, each whole and once`, {
  timeout: 60_000 + kills * 3_000,
}, async () => {
  const random = seeded(7);
  let acknowledged = 0;
  let lost = 0;
  for (let done = 0; done < kills; ) {
    const directory = mkdtempSync(join(tmpdir(), "weir-kills-"));
    const address = `lmdb:${directory}`;
    let written = 0;
    for (let i = 0; i < killsPerStore && done < kills; i++, done++) {
      const acks = await killed(address, written, Math.floor(random() * 6), random() * 10);
      const store = openStore(address);
      const entries = (await store.audit("", 10_000_000)).reverse();
      const { routes, sequence } = await store.list();
      await store.close();
      // Every write there is, in one row without a gap.
      expect(entries.map((entry) => Number(entry.sequence))).toEqual(
        entries.map((_, at) => at + 1),
      );
      expect(sequence).toBe(BigInt(entries.length));
      for (const { name, etag, count } of acks) {
        const entry = entries[Number(etag) - 1];
        if (entry?.name !== name || entry.after?.buckets[0]?.count !== count) lost++;
      }
      // At most the one that was under way is there without its acknowledgement.
      expect(entries.length - written - acks.length).toBeLessThanOrEqual(1);
      // The routes are as the newest entries say.
      const newest = new Map(entries.map((entry) => [entry.name, entry.after]));
      expect(routes).toEqual(
        [...newest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, state]) => state),
      );
      acknowledged += acks.length;
      written = entries.length;
    }
    rmSync(directory, { recursive: true });
  }
  console.log(`${kills} kills, ${acknowledged} writes acknowledged, ${lost} lost`);
  expect(lost).toBe(0);
  expect(acknowledged).toBeGreaterThan(0);
});
