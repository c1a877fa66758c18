import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256Hex } from "../../control/auth/index.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { type FakeProxy, startFakeProxy } from "../rollout/fake-proxy.ts";
import { rolloutOf, routeWithPods } from "../rollout/world.ts";

const patience = { timeout: 20_000 };

let directory: string;
let server: ControlServer;
let clients: ApiClients;
let proxies: FakeProxy[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-refusals-"));
  const access = join(directory, "access.yaml");
  const proxy = (namespace: string) => ({
    name: namespace,
    sha256: sha256Hex(namespace),
    role: "proxy",
    namespaces: [namespace],
    nodes: ["*"],
  });
  const root = { name: "root", sha256: sha256Hex("root"), role: "admin" };
  writeFileSync(access, JSON.stringify({ tokens: [root, proxy("inference"), proxy("teamb")] }));
  server = await startQuietServer({ access });
  clients = clientsOf(urlOf(server), { token: "root" });
  proxies = [];
});
afterEach(async () => {
  for (const each of proxies) each.close();
  await server.close();
  rmSync(directory, { recursive: true });
});

/** A proxy with the token of a namespace. */
function proxyOf(
  namespace: string,
  id: string,
  refuses: FakeProxy["refuses"] = () => undefined,
): FakeProxy {
  const proxy = startFakeProxy(server.xds.port, id, {
    headers: { authorization: `Bearer ${namespace}` },
  });
  proxy.refuses = refuses;
  proxies.push(proxy);
  return proxy;
}

const always = (words: string) => (type: string) => (type === "ECDS" ? words : undefined);

/** Applies a route, and waits until it is published: who connects before that is the first to try it. */
async function apply(namespace: string, canary: number, name = "chat"): Promise<void> {
  const route = routeWithPods(9001, 9002);
  if (route.metadata) Object.assign(route.metadata, { namespace, name });
  if (route.spec) route.spec.hosts = [`${name}.${namespace}.example.com`];
  route.spec?.variants.forEach((variant, i) => {
    variant.weight = i === 0 ? 100 - canary : canary;
  });
  await clients.routes.applyRoute({ route });
  const probe = startFakeProxy(server.xds.port, "probe", {
    headers: { authorization: `Bearer ${namespace}` },
  });
  const full = `${namespace}/${name}`;
  await expect.poll(async () => (await applied(full)).applied, patience).toBe(1);
  probe.close();
  await expect.poll(async () => (await applied(full)).wanted, patience).toBe(0);
}

const shift = (canary: number, name = "inference/chat") =>
  clients.routes.shiftWeights({ name, weights: { canary } });
const applied = async (name = "inference/chat") => {
  const { applied } = await clients.routes.getRoute({ name });
  return { applied: applied?.applied, wanted: applied?.wanted, behind: applied?.behind ?? [] };
};
const everywhere = (count: number) => ({ applied: count, wanted: count });
const actions = async (name: string) =>
  (await clients.audit.listAudit({ name })).entries.map(({ action }) => action);

describe("a proxy that refuses what did not change", () => {
  it("of another namespace: every shift goes through, back to 0 as well, and nothing is written", async () => {
    await apply("inference", 10);
    await apply("teamb", 10);
    const healthy = [proxyOf("inference", "one"), proxyOf("inference", "two")];
    await expect.poll(applied, patience).toMatchObject(everywhere(2));
    proxyOf("teamb", "three", always("too old"));
    await expect
      .poll(() => applied("teamb/chat"), patience)
      .toMatchObject({
        applied: 0,
        wanted: 1,
        behind: [{ node: "three", reason: expect.stringContaining("ECDS refused: too old") }],
      });
    for (const canary of [40, 60, 0]) {
      expect(await shift(canary)).toMatchObject({ changed: true });
      await expect
        .poll(() => healthy.map(({ canaryPercent }) => canaryPercent), patience)
        .toEqual([canary, canary]);
      await expect.poll(applied, patience).toMatchObject(everywhere(2));
    }
    expect(await actions("inference/chat")).toEqual(["shift", "shift", "shift", "apply"]);
    expect(await actions("teamb/chat")).toEqual(["apply"]);
  });

  it("of the same namespace: the shift goes to the healthy ones, and every answer names the proxy", async () => {
    await apply("inference", 10);
    // It came first, and is not first all the same.
    proxyOf("inference", "old", always("too old"));
    await expect.poll(applied, patience).toMatchObject({
      behind: [{ node: "old", reason: expect.stringContaining("ECDS refused: too old") }],
    });
    const healthy = [proxyOf("inference", "one"), proxyOf("inference", "two")];
    await expect.poll(applied, patience).toMatchObject({ applied: 2, wanted: 3 });
    for (const canary of [40, 0]) {
      await shift(canary);
      await expect
        .poll(() => healthy.map(({ canaryPercent }) => canaryPercent), patience)
        .toEqual([canary, canary]);
      await expect.poll(applied, patience).toMatchObject({
        applied: 2,
        wanted: 3,
        behind: [
          {
            node: "old",
            reason: expect.stringContaining("ECDS refused: too old"),
            refused: true,
            refusedBefore: true,
          },
        ],
      });
    }
    expect(await actions("inference/chat")).toEqual(["shift", "shift", "apply"]);
  });

  it("does not lead a rollout of its namespace back: the step waits for it by name, and pauses", async () => {
    await apply("inference", 0);
    proxyOf("inference", "old", always("too old"));
    await expect.poll(applied, patience).toMatchObject({ applied: 0, wanted: 1 });
    const one = proxyOf("inference", "one");
    await expect.poll(applied, patience).toMatchObject({ applied: 1, wanted: 2 });
    await clients.rollouts.startRollout({
      rollout: rolloutOf({ steps: [{ weight: 20 }, { weight: 100 }], proof: { deadline: "1s" } }),
    });
    await expect.poll(() => one.canaryPercent, patience).toBe(20);
    const state = async () => (await clients.rollouts.getRollout({ name: "chat" })).progress?.state;
    await expect.poll(state, patience).toMatchObject({
      phase: "paused",
      reason: expect.stringContaining("applied on 1 of 2: old ECDS refused: too old"),
    });
    expect(one.canaryPercent).toBe(20);
  });
});

describe("a change that is refused", () => {
  it("is taken back once, and only where it was refused: another namespace's shift goes through meanwhile", async () => {
    await apply("inference", 10);
    await apply("teamb", 10);
    const one = proxyOf("inference", "one");
    const two = proxyOf("teamb", "two");
    await expect.poll(applied, patience).toMatchObject(everywhere(1));
    await expect.poll(() => applied("teamb/chat"), patience).toMatchObject(everywhere(1));
    one.refusal = "no such wasm";
    await Promise.all([shift(40), shift(40, "teamb/chat")]);
    await expect
      .poll(() => actions("inference/chat"), patience)
      .toEqual(["take-back", "shift", "apply"]);
    await expect.poll(applied, patience).toMatchObject(everywhere(1));
    expect(one.canaryPercent).toBe(10);
    await expect.poll(() => two.canaryPercent, patience).toBe(40);
    expect(await actions("teamb/chat")).toEqual(["shift", "apply"]);
  });

  it("that changed more than weights is kept from the others, who are told by name, and holds no other route", async () => {
    await apply("inference", 10);
    await apply("inference", 10, "other");
    const [one, two] = [proxyOf("inference", "one"), proxyOf("inference", "two")];
    await expect.poll(applied, patience).toMatchObject(everywhere(2));
    const bad = (type: string, _: string, resources: readonly { value: Uint8Array }[]) =>
      type === "RDS" && resources.some(({ value }) => Buffer.from(value).includes("bad.example"))
        ? "no such host"
        : undefined;
    for (const each of [one, two]) each.refuses = bad;
    const route = routeWithPods(9001, 9002);
    if (route.spec) route.spec.hosts = ["bad.example.com"];
    route.spec?.variants.forEach((variant, i) => {
      variant.weight = [90, 10][i] ?? 0;
    });
    await clients.routes.applyRoute({ route });
    await expect.poll(applied, patience).toMatchObject({
      applied: 0,
      wanted: 2,
      behind: expect.arrayContaining([
        expect.objectContaining({ reason: "RDS refused: no such host", refused: true }),
        expect.objectContaining({
          reason: expect.stringMatching(/^not sent: (one|two) refused RDS: no such host$/),
        }),
      ]),
    });
    await shift(40, "inference/other");
    await expect.poll(() => applied("inference/other"), patience).toMatchObject(everywhere(2));
    expect(await actions("inference/chat")).toEqual(["apply", "apply"]);
    const tried = [one, two].filter(({ received }) =>
      received.some(({ type, resources }) => bad(type, "", resources)),
    );
    expect(tried).toHaveLength(1);
  });

  it("is not kept up by a proxy that never answers: later changes do not wait for it", async () => {
    await apply("inference", 10);
    const [mute, one] = [proxyOf("inference", "mute"), proxyOf("inference", "one")];
    await expect.poll(applied, patience).toMatchObject(everywhere(2));
    mute.mute = true;
    await shift(40);
    await expect.poll(() => one.canaryPercent, patience).toBe(40);
    for (const canary of [50, 60, 70]) {
      const before = mute.received.length;
      await shift(canary);
      await expect.poll(() => one.canaryPercent, patience).toBe(canary);
      // It is sent the change together with the others, not before them.
      expect(mute.received.length - before).toBeLessThanOrEqual(2);
    }
  });
});
