import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { type Gateway, startGateway } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { openDocument, type RegisteringPod, startRegistering } from "./registering.ts";
import { weir, weirUp } from "./weir-up.ts";

const soon = { timeout: 30_000, interval: 50 };

let gateway: Gateway;
let client: GatewayClient;
let pods: RegisteringPod[] = [];
beforeAll(async () => {
  gateway = await startGateway({ endpointRanges: [{ net: "127.0.0.0", bits: 8 }] });
  client = gatewayClient(gateway.url);
});
afterEach(() => {
  for (const pod of pods) pod.kill();
  pods = [];
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
});

async function start(name: string, ...flags: string[]): Promise<RegisteringPod> {
  const pod = await startRegistering(gateway.server, name, flags);
  pods.push(pod);
  return pod;
}

/** Who answers a request; the status where nobody does. */
async function asked(): Promise<string> {
  const { headers, status } = await client.get("/v1/models");
  return status === 200 ? String(headers["x-pod"]) : `status ${status}`;
}

/** Who answers so many requests, each counted. */
async function answers(requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const who = await asked();
    counts[who] = (counts[who] ?? 0) + 1;
  }
  return counts;
}

/** The lines of `weir pods` that are about a pod. */
const listed = async () =>
  (await gateway.weir("pods", "chat")).split("\n").filter((line) => /^127/.test(line));

it("pods that register share the requests, and one that drains ends its streams and gets no more", async () => {
  await gateway.apply(openDocument());
  expect(await asked()).toBe("status 503");
  const one = await start("one");
  const two = await start("two", "--drain", "60s");
  await expect
    .poll(async () => Object.keys(await answers(20)).sort(), soon)
    .toEqual(["one", "two"]);
  expect(await answers(50)).toEqual({ one: expect.any(Number), two: expect.any(Number) });

  // A stream in the middle of which its pod begins to end, and one that begins just before.
  const streams = Array.from({ length: 8 }, () => client.get("/v1/models", { "x-pieces": "40" }));
  await expect
    .poll(async () => (await gateway.weir("pods", "chat")).match(/ready/g)?.length, soon)
    .toBe(2);
  two.terminate();
  await expect.poll(async () => (await listed()).join(), soon).toContain("draining");
  await expect.poll(async () => Object.keys(await answers(20)), soon).toEqual(["one"]);
  expect(await answers(100)).toEqual({ one: 100 });
  const ended = await Promise.all(streams);
  const whole = (name: string) => `data: ${name}\n\n`.repeat(40);
  expect(ended.map(({ status }) => status)).toEqual(ended.map(() => 200));
  expect(ended.map(({ body }) => String(body))).toEqual(
    ended.map(({ headers }) => whole(String(headers["x-pod"]))),
  );
  expect(new Set(ended.map(({ headers }) => headers["x-pod"]))).toEqual(new Set(["one", "two"]));
  // A second signal: nothing is left to wait for.
  two.terminate();
  expect(await two.gone).toBe(0);
  expect(await listed()).toEqual([expect.stringContaining(one.address)]);
});

it("a pod that is killed is gone after its lease, and the others answer", async () => {
  await gateway.apply(openDocument());
  const one = await start("one");
  const two = await start("two");
  await expect
    .poll(async () => Object.keys(await answers(20)).sort(), soon)
    .toEqual(["one", "two"]);
  two.kill();
  await expect.poll(async () => (await listed()).length, soon).toBe(1);
  // The list is what the proxies are sent; they have it within a moment.
  await expect.poll(() => answers(20), soon).toEqual({ one: 20 });
  expect(await answers(200)).toEqual({ one: 200 });
  expect(one.said()).toContain("registered");
});

it("a pod that joins others begins with a low share and comes to an equal one", async () => {
  const warmup = { duration: "5s", minimumPercent: 10 };
  await gateway.apply(openDocument({ warmup, balance: { policy: "round-robin" } }));
  await start("one");
  await expect.poll(asked, soon).toBe("one");
  const answeredMs = performance.now();
  // The first pod has warmed up itself.
  await expect.poll(() => performance.now() - answeredMs, soon).toBeGreaterThan(5_000);
  await start("two");
  await expect.poll(async () => (await answers(10)).two ?? 0, soon).toBeGreaterThan(0);
  const { one = 0, two = 0 } = await answers(40);
  expect(one).toBeGreaterThan(1.5 * two);
  await expect.poll(async () => (await answers(40)).two ?? 0, soon).toBeGreaterThanOrEqual(18);
});

it("a capacity sets the share of a pod", async () => {
  await gateway.apply(openDocument({ balance: { policy: "round-robin" } }));
  await start("one", "--capacity", "9");
  await start("two", "--capacity", "1");
  await expect
    .poll(async () => Object.keys(await answers(20)).sort(), soon)
    .toEqual(["one", "two"]);
  const { one = 0, two = 0 } = await answers(400);
  expect(one / two).toBeGreaterThan(6);
  expect(one / two).toBeLessThan(13);
});

it("a command that fails is deregistered, and its failure is that of weir register", async () => {
  await gateway.apply(openDocument());
  const { code, stderr } = await weir([
    ...["register", "--route", "chat", "--variant", "stable", "--address", "127.0.0.1:1"],
    ...["--server", gateway.server],
    ...["--", process.execPath, "-e", "setTimeout(() => process.exit(3), 1000)"],
  ]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("ended with status 3")]);
  expect(await listed()).toEqual([]);
});

it("weir up lets pods of its own machine register, and says what it needs of a route without endpoints", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-up-registered-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "route.yaml");
  writeFileSync(file, stringify(openDocument()));
  await expect(weirUp(["--route", file], {}, 0)).rejects.toThrow(
    "variant stable has no endpoints: give addresses with --pods, or --no-pods where its pods register themselves",
  );
  const up = await weirUp(["--route", file, "--no-pods"], {}, 0);
  onTestFinished(up.stop);
  pods.push(await startRegistering(up.server, "mine"));
  const asking = gatewayClient(up.gateway);
  onTestFinished(asking.close);
  const who = async () => (await asking.get("/v1/models")).headers["x-pod"];
  await expect.poll(who, soon).toBe("mine");
});
