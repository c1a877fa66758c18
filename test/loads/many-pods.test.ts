import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { createPodLoads } from "../../control/loads/index.ts";
import { vllmMetrics } from "./metrics-text.ts";

let pods: ChildProcess | undefined;
afterEach(() => {
  pods?.kill();
});

async function start(count: number): Promise<string[]> {
  pods = spawn(process.execPath, ["test/loads/pods.js", String(count)]);
  pods.stdin?.end(vllmMetrics(12, 7, 0.5));
  const [line] = await once(pods.stdout as NodeJS.ReadableStream, "data");
  return (JSON.parse(String(line)) as number[]).map((port) => `127.0.0.1:${port}`);
}

it.each([250, 1000])(
  "asks %d pods once a second for less than half a core",
  { timeout: 120_000 },
  async (count) => {
    const endpoints = await start(count);
    const loads = createPodLoads(() => performance.now());
    const known = () => endpoints.filter((each) => typeof loads.of(each) !== "string").length;
    await expect.poll(known, { timeout: 60_000, interval: 200 }).toBe(count);
    // The least of some windows: neighbours on the machine make the others dearer.
    const windows: number[] = [];
    for (let window = 0; window < 6; window++) {
      const before = process.cpuUsage();
      const beganMs = performance.now();
      for (let i = 0; i < 8; i++) {
        expect(known()).toBe(count);
        await sleep(250);
      }
      const { user, system } = process.cpuUsage(before);
      windows.push((user + system) / 1000 / (performance.now() - beganMs));
    }
    const cores = Math.min(...windows);
    console.log(`${count} pods: ${windows.map((each) => each.toFixed(2)).join(" ")} of a core`);
    expect(cores).toBeLessThan(0.5);
  },
);
