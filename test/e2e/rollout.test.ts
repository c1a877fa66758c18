import { type ChildProcess, spawn } from "node:child_process";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { type PodBehaviour, startPod } from "../../control/pods/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { freePorts } from "../free-ports.ts";
import { rolloutOf } from "../rollout/world.ts";
import { gatewayClient } from "./gateway-client.ts";
import { measuredRoute } from "./measured-route.ts";

/** Canaries by the name of their route: how their pods behave, and the words with which they go back. */
const faulty: [name: string, fault: Partial<PodBehaviour>, why: RegExp][] = [
  ["slow-first-tokens", { firstTokenMs: 400 }, /^first-token p50 fail: canary \d+ ms, stable \d/],
  ["long-gaps", { tokenGapMs: 150 }, /^token-gap p50 fail: canary \d+ ms, stable \d/],
  ["cut-streams", { cutRate: 0.6 }, /^cut-streams fail: canary [3-9]\d\.\d %, stable \d/],
  ["5xx", { errorRate: 0.6 }, /^success-rate fail: canary [1-6]\d\.\d %, stable (100|99)/],
  [
    "errors-within-200",
    { failRate: 0.6 },
    /^success-rate fail: canary [1-6]\d\.\d %, stable 100 %/,
  ],
  ["4xx", { refuse: 400 }, /^refusals fail: canary 100 %, stable 0\.00 %/],
  ["hangs", { firstTokenMs: 60_000 }, /^hangs over \d+s fail: canary \d+(\.\d+)? %, stable \d/],
  ["wrong-finish-reasons", { finishReason: "length" }, /^finish-reasons length fail: canary 100 %/],
];
/** Its canary answers one tenant alone with errors. */
const unfair = "unfair-to-globex";
const names = ["good", unfair, ...faulty.map(([name]) => name)];
const usual: Partial<PodBehaviour> = { firstTokenMs: 20, tokenGapMs: 15, tokens: 6 };

// Small samples and wide limits: the machine may be slow, and the faults are plain.
const spec = {
  warmup: { weight: 5, duration: "2s" },
  steps: [{ weight: 30 }, { weight: 60 }, { weight: 100 }],
  hold: "2s",
  bake: "2s",
  analysis: {
    minimumSample: 40,
    checks: [
      { metric: "success-rate", tolerance: 10 },
      { metric: "refusals", tolerance: 10 },
      { metric: "hangs", tolerance: 10 },
      { metric: "cut-streams", tolerance: 10 },
      { metric: "finish-reasons", tolerance: 20 },
      { metric: "first-token", percentile: 50, tolerance: 200 },
      { metric: "token-gap", percentile: 50, tolerance: 200 },
    ],
  },
};

/** Asks again until the answer is the wanted one; says what it waited for when that takes too long. */
async function until(condition: () => Promise<boolean>, what: () => unknown): Promise<void> {
  const deadline = Date.now() + 240_000;
  while (!(await condition().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`${await what()}\n${said}`);
    await sleep(300);
  }
}

/** Gold's users first: the load is theirs. */
const byTier = [{ weight: 30, tiers: ["gold"] }, { weight: 60 }, { weight: 100 }];

const local = (port = 0) => ({ host: "127.0.0.1", port });
const undo: (() => unknown)[] = [];
let clients: ApiClients;
let said = "";
let gatewayUrl = "";

async function serve(): Promise<{
  child: ChildProcess;
  gateway: number;
  admin: number;
  xds: number;
}> {
  const [api = 0, xds = 0, gateway = 0, admin = 0] = await freePorts(4);
  const child = spawn(
    process.execPath,
    [
      ...["dist/control/main.js", "serve", "--store", "memory"],
      ...["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`],
      ...["--gateway", `127.0.0.1:${gateway}`],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  undo.push(
    () =>
      new Promise((resolve) => {
        child.once("exit", resolve);
        child.kill();
      }),
  );
  clients = clientsOf(`http://127.0.0.1:${api}`);
  await until(
    async () => Boolean(await clients.routes.listRoutes({})),
    () => "weir serve",
  );
  return { child, gateway, admin, xds };
}

/** A pod that answers one tenant with errors, and everyone else as another pod does. */
async function startUnfairPod(port: number, tenant: string): Promise<string> {
  const server = createServer((req, res) => {
    if (req.headers["x-tenant-id"] === tenant) {
      req.resume();
      res.writeHead(500).end();
      return;
    }
    const { method, url, headers } = req;
    const through = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    through.on("error", () => res.destroy());
    req.pipe(through);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Users of a route who stream answers one after the other, each with a name of its own. */
function startLoad(gateway: string, host: string, users: number, tenant = "acme"): void {
  const client = gatewayClient(gateway, users);
  let running = true;
  let asked = 0;
  const loops = Array.from({ length: users }, async () => {
    while (running)
      await client
        .post(
          "/v1/chat/completions",
          { stream: true, messages: [{ content: "hello" }] },
          { host, "x-tenant-id": tenant, "x-user-id": `user-${asked++}` },
        )
        .catch(() => {
          // Cut streams are what some of the canaries here do.
        });
  });
  undo.push(async () => {
    running = false;
    await Promise.all(loops);
    client.close();
  });
}

beforeAll(async () => {
  const { gateway, admin, xds } = await serve();
  for (const name of names) {
    const pods = [
      await startPod("stable", "127.0.0.1", 0),
      await startPod("canary", "127.0.0.1", 0),
    ];
    for (const pod of pods) undo.push(() => pod.close());
    const endpoints = pods.map(({ port }) => `127.0.0.1:${port}`);
    const canary =
      name === unfair ? await startUnfairPod(pods[1]?.port ?? 0, "globex") : endpoints[1];
    await clients.routes.applyRoute({
      route: measuredRoute("rollout", name, [endpoints[0] ?? "", canary ?? ""]),
    });
    const fault = faulty.find(([each]) => each === name)?.[1];
    for (const [i, behaviour] of [usual, { ...usual, ...fault }].entries())
      await fetch(`http://${endpoints[i]}/behaviour`, {
        method: "PUT",
        body: JSON.stringify(behaviour),
      });
  }
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({ node: "edge", xds: local(xds), admin: local(admin) }),
    admin: local(admin),
    concurrency: 1,
  });
  undo.push(() => envoy.stop());
  gatewayUrl = `http://127.0.0.1:${gateway}`;
  const probe = gatewayClient(gatewayUrl, 1);
  undo.push(() => probe.close());
  const answers = async () =>
    (await probe.get("/v1/models", { host: "good.example.com" })).status === 200;
  await until(answers, () => `the gateway:\n${envoy.log()}`);
  for (const name of names) startLoad(gatewayUrl, `${name}.example.com`, 5);
  // Whoever hangs asks no more, and others come.
  const coming = setInterval(() => startLoad(gatewayUrl, "hangs.example.com", 1), 150);
  const enough = setTimeout(() => clearInterval(coming), 30_000);
  undo.push(() => {
    clearInterval(coming);
    clearTimeout(enough);
  });
  startLoad(gatewayUrl, `${unfair}.example.com`, 2, "globex");
  for (const name of names) {
    const rollout = rolloutOf(name === "good" ? { ...spec, steps: byTier } : spec);
    Object.assign(rollout.metadata ?? {}, { name });
    await clients.rollouts.startRollout({ rollout, reason: "new weights" });
  }
}, 180_000);
afterAll(async () => {
  for (const each of undo.reverse()) await each();
});

/** Follows a rollout to its end: how it ended, why, and the canary's weights on the way. */
async function outcome(name: string) {
  const get = async () => (await clients.rollouts.getRollout({ name })).progress;
  const moving = /^(running|rolling-back)$/;
  await until(
    async () => !moving.test((await get())?.state?.phase ?? "running"),
    async () => (await get())?.waitingFor.join("; "),
  );
  const { entries } = await clients.audit.listAudit({ name: `inference/${name}`, limit: 100 });
  const weights = entries
    .filter(({ action }) => action.startsWith("rollout-"))
    .reverse()
    .flatMap(({ after }) => (after ? [after.route?.spec?.variants[1]?.weight ?? 0] : []));
  const state = (await get())?.state;
  return { phase: state?.phase, reason: state?.reason, weights };
}

describe("a rollout on a real Envoy", { timeout: 300_000 }, () => {
  it.each(faulty)("takes a canary with %s back and names the reason", async (name, _fault, why) => {
    const { phase, reason, weights } = await outcome(name);
    expect(reason).toMatch(why);
    expect(phase).toBe("rolled-back");
    expect(weights.at(-1)).toBe(0);
    expect(Math.max(...weights)).toBeLessThan(100);
  });

  it("keeps a tenant for whom alone the canary is worse on stable, and goes on for the others", async () => {
    const { phase, reason, weights } = await outcome(unfair);
    expect([phase, reason]).toEqual([
      "succeeded",
      "all steps are done; pinned to stable as before: globex",
    ]);
    expect(Math.max(...weights)).toBe(100);
    const { entries } = await clients.audit.listAudit({ name: `inference/${unfair}`, limit: 100 });
    const pinned = entries.filter(({ action }) => action === "rollout-pin");
    expect(pinned.map(({ reason, principal }) => [principal, reason])).toEqual([
      [
        "rollout",
        expect.stringMatching(/^pinned to stable: tenant globex: success-rate fail: canary \d/),
      ],
    ]);
    expect(pinned[0]?.rolloutAfter?.verdicts).toContainEqual(
      expect.objectContaining({ tenant: "globex", outcome: "fail" }),
    );
    const { state } = await clients.routes.getRoute({ name: unfair });
    expect(state?.route?.spec?.canary?.pin).toEqual({ globex: "stable" });
    // All of the canary's users are elsewhere, and globex is served.
    const client = gatewayClient(gatewayUrl, 1);
    undo.push(() => client.close());
    for (let i = 0; i < 20; i++) {
      const ask = (tenant: string) =>
        client.get("/v1/models", {
          host: `${unfair}.example.com`,
          "x-tenant-id": tenant,
          "x-user-id": `late-${i}`,
        });
      expect([(await ask("globex")).status, (await ask("acme")).status]).toEqual([200, 200]);
    }
  });

  it("takes a good canary to all users with no one at hand", async () => {
    const { phase, reason, weights } = await outcome("good");
    expect([phase, reason]).toEqual(["succeeded", "all steps are done"]);
    expect(weights).toEqual([5, 30, 60, 100]);
    // Step by step: whom each of them held on the stable variant.
    const { entries } = await clients.audit.listAudit({ name: "inference/good", limit: 100 });
    const held = entries
      .filter(({ action, after }) => action.startsWith("rollout-") && after)
      .reverse()
      .map(({ after }) => after?.route?.spec?.canary?.hold?.tiers.join());
    expect(held).toEqual(["bronze,silver", "bronze,silver", undefined, undefined]);
    const { state } = await clients.routes.getRoute({ name: "good" });
    expect(state?.route?.spec?.variants.map(({ weight }) => weight)).toEqual([0, 100]);
  });

  it("is refused on a route whose answers its proxies do not measure", async () => {
    const route = measuredRoute("rollout", "unmeasured", ["127.0.0.1:9", "127.0.0.1:19"]);
    delete route.spec?.tokens;
    await clients.routes.applyRoute({ route });
    const rollout = rolloutOf(spec);
    Object.assign(rollout.metadata ?? {}, { name: "unmeasured" });
    await expect(clients.rollouts.startRollout({ rollout })).rejects.toThrow(
      "set spec.tokens.measure of the route to true",
    );
  });
});
