import { spawn } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ProbeWindow } from "../../control/load/index.ts";
import { type WeirUp, weir, weirUp } from "./weir-up.ts";

let up: WeirUp;
beforeAll(async () => {
  up = await weirUp();
});
afterAll(() => up.stop());

const at = () => ["drill", "chat", "--gateway", up.gateway, "--server", up.server];
const drill = (...flags: string[]) => weir([...at(), "-H", "x-tenant-id: acme", ...flags]);

/** A drill in a process of its own, under way; told to end, it is waited for. */
async function drillUnderWay(): Promise<{ interrupt(): Promise<unknown> }> {
  const args = ["dist/control/main.js", ...at(), "--delay", "100ms"];
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  const exited = new Promise((resolve) => child.on("exit", resolve));
  await expect.poll(document, { timeout: 20_000 }).toMatch(/^ {2}fault:/m);
  return {
    interrupt() {
      child.kill("SIGINT");
      return exited;
    },
  };
}
const document = () => up.weir("get", "chat", "-o", "yaml");

it("delays tagged requests and no others, and leaves nothing behind", async () => {
  const { code, stdout, stderr } = await drill("--delay", "700ms", "--for", "9s", "-o", "json");
  expect(code, stderr).toBe(0);
  const windows = JSON.parse(stdout) as ProbeWindow[];
  expect(windows.length).toBeGreaterThanOrEqual(2);
  for (const { tagged, others } of windows) {
    expect(tagged.failed + others.failed).toBe(0);
    expect(tagged.latencyMs.p50).toBeGreaterThan(700);
    expect(others.latencyMs.p50).toBeLessThan(tagged.latencyMs.p50);
  }
  expect(await document()).not.toMatch(/^ {2}fault:/m);
  expect(await up.weir("audit", "chat")).toContain("the drill has ended");
});

it("ends early when an objective is missed, with exit code 1", async () => {
  const { code, stdout, stderr } = await drill(
    ...["--abort", "500", "--for", "60s"],
    ...["--objective", "errors<50%", "--objective", "others:errors<1%"],
  );
  expect(code).toBe(1);
  expect(stderr).toContain("error: the drill was ended early: missed errors<50%");
  expect(stdout).toContain("errors<50% MISSED, others:errors<1% held");
  expect(await document()).not.toMatch(/^ {2}fault:/m);
});

it("cuts streams and slows tokens", async () => {
  const cut = await drill("--cut-after", "100ms", "--for", "3s", "-o", "json");
  const [window] = JSON.parse(cut.stdout) as ProbeWindow[];
  expect(window?.tagged.failures.map(({ reason }) => reason)).toContain("stream cut short");
  expect(window?.others.failed).toBe(0);
  const slow = await drill("--slow-tokens", "1", "--for", "3s", "-o", "json");
  const [slowed] = JSON.parse(slow.stdout) as ProbeWindow[];
  expect(slowed?.tagged.latencyMs.p95).toBeGreaterThan(2 * (slowed?.others.latencyMs.p95 ?? 0));
});

it("takes the fault away when it is interrupted", async () => {
  const other = await drillUnderWay();
  await other.interrupt();
  expect(await document()).not.toMatch(/^ {2}fault:/m);
});

it("refuses a second drill on the same route, and one without a fault", async () => {
  const other = await drillUnderWay();
  const { code, stderr } = await drill("--abort", "503");
  await other.interrupt();
  expect(code).toBe(1);
  expect(stderr).toContain("chat already has a fault");
  expect((await drill()).code).toBe(2);
});
