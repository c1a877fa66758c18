import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { local, startQuietServer } from "../api/control-server.ts";
import { weir } from "../e2e/weir-up.ts";

let server: ControlServer;
let at: string;
let child: ChildProcess | undefined;

beforeAll(async () => {
  server = await startQuietServer();
  at = `127.0.0.1:${server.listen.port}`;
  const { code } = await weir(["apply", "-f", "examples/canary/route.yaml", "--server", at]);
  expect(code).toBe(0);
});
afterEach(() => {
  child?.kill("SIGKILL");
});
afterAll(() => server.close());

/** A command that goes on; what it wrote grows in `seen`. */
function watching(...args: string[]) {
  const started = spawn(process.execPath, ["dist/control/main.js", ...args, "--server", at], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = started;
  const seen = { stdout: "", stderr: "" };
  started.stdout.on("data", (chunk: Buffer) => {
    seen.stdout += chunk;
  });
  started.stderr.on("data", (chunk: Buffer) => {
    seen.stderr += chunk;
  });
  const ended = new Promise<number | null>((done) => started.on("close", done));
  return { seen, ended, interrupt: () => started.kill("SIGINT") };
}

const patience = { timeout: 30_000 };

it("shows a list again when it changes, outlives the server, and ends with 0 on Ctrl-C", async () => {
  const { seen, ended, interrupt } = watching("get", "--watch");
  await expect.poll(() => seen.stdout, patience).toMatch(/chat +\S+ +stable=90 canary=10/);
  await weir(["shift", "chat", "canary=30", "--server", at]);
  await expect.poll(() => seen.stdout, patience).toMatch(/chat +\S+ +stable=70 canary=30/);
  // The same is not told twice where nobody draws over it.
  expect(seen.stdout.match(/canary=30/g)).toHaveLength(1);
  const { port } = server.listen;
  await server.close();
  await expect.poll(() => seen.stderr, patience).toContain("cannot reach the control service");
  server = await startQuietServer({ listen: local(port) });
  await expect.poll(() => seen.stdout, patience).toMatch(/no routes/);
  expect(seen.stderr.match(/cannot reach the control service/g)).toHaveLength(1);
  interrupt();
  expect(await ended).toBe(0);
  const { code } = await weir(["apply", "-f", "examples/canary/route.yaml", "--server", at]);
  expect(code).toBe(0);
});

it("follows the audit, a line of JSON for each entry, the newest last", async () => {
  const { seen, ended, interrupt } = watching("audit", "-o", "json", "--watch");
  const actions = () =>
    seen.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line).reason || JSON.parse(line).action);
  await expect.poll(actions, patience).toContain("apply");
  const before = actions().length;
  for (const weight of [40, 50])
    await weir(
      ["shift", "chat", `canary=${weight}`, "--reason", `to ${weight}`].concat("--server", at),
    );
  await expect.poll(actions, patience).toHaveLength(before + 2);
  expect(actions().slice(before)).toEqual(["to 40", "to 50"]);
  interrupt();
  expect(await ended).toBe(0);
});

it.each([
  [["pods", "chat"], "start it with --pod-metrics"],
  [["rollout", "list"], "no rollouts"],
  [["rollout", "list", "-o", "json"], "{}"],
  [["proxies"], "no proxies"],
])("%j says what there is when there is nothing", async (args, words) => {
  const { code, stdout } = await weir([...args, "--server", at]);
  expect([code, stdout.trim()]).toEqual([0, expect.stringContaining(words)]);
});

it.each(["status", "get"])(
  "weir %s names the route that a typo may have meant",
  async (command) => {
    const { code, stdout, stderr } = await weir([command, "chta", "--server", at]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/there is no route \S*chta\b[\s\S]*Did you mean chat\?/);
  },
);
