import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { sha256Hex } from "../../control/auth/index.ts";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { startPod } from "../../control/pods/index.ts";
import { openStore } from "../../control/store/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { startMachines } from "../faults/machines.ts";
import { freePorts } from "../free-ports.ts";
import { generator } from "../random.ts";
import { startEtcd } from "../store/etcd-cluster.ts";
import { disturbances, shuffled } from "./disturbances.ts";
import { gatewayClient } from "./gateway-client.ts";
import { measuredRoute } from "./measured-route.ts";
import { createReplica, type Replica } from "./replica.ts";
import { startTraffic } from "./traffic.ts";
import { stepsOf, walk } from "./walks.ts";

/** `npm run test:long` asks for an hour; at least each kind of disturbance comes once. */
const seconds = Number(process.env.WEIR_REPLICAS_SECONDS ?? 40);
const isLong = seconds > 600;
/**
 * Longest time without a disturbance, and that one lasts: a leader's term is 6 s;
 * pause between requests of one loop.
 */
const [calmMs, longestMs, pauseMs] = isLong ? [10_000, 15_000, 50] : [2_000, 8_000, 10];
const local = (port: number) => ({ host: "127.0.0.1", port });

/** Writes that were sent once each: an error may mean either, so only what was acknowledged is counted on. */
function startShifts(replicas: readonly Replica[], random: () => number) {
  let over = false;
  const shifts = { asked: 0, acknowledged: [] as string[] };
  const running = (async () => {
    while (!over) {
      const reason = `shift ${shifts.asked++}`;
      const canary = 1 + (shifts.asked % 98);
      const replica = replicas[Math.floor(random() * replicas.length)] as Replica;
      await replica.routes.shiftWeights({ name: "chat", weights: { canary }, reason }).then(
        () => shifts.acknowledged.push(reason),
        () => {},
      );
      await sleep(random() * calmMs * 0.3);
    }
  })();
  return Object.assign(shifts, {
    async stop() {
      over = true;
      await running;
    },
  });
}

it(`three replicas on etcd and a real Envoy go through ${seconds} s of kills, pauses, partitions, shifts and rollouts: no request fails, no write is lost, no step is lost or doubled`, {
  timeout: seconds * 1_000 + 600_000,
}, async () => {
  const machines = startMachines(3);
  onTestFinished(() => machines.close());
  const directory = mkdtempSync(join(tmpdir(), "weir-replicas-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const access = join(directory, "access.yaml");
  const tokens = [
    { name: "tester", sha256: sha256Hex("tester"), role: "admin" },
    { name: "edge", sha256: sha256Hex("edge"), role: "proxy", nodes: ["edge-1"] },
  ];
  writeFileSync(access, stringify({ tokens }));
  const etcd = await startEtcd({ members: 3, machines });
  onTestFinished(() => etcd.close());
  const [gatewayPort = 0, adminPort = 0] = await freePorts(2);
  const all = [0, 1, 2];
  const api = (i: number) => `${machines.address(i)}:8080`;
  const replicas = all.map((i) =>
    createReplica({
      command: machines.command(i),
      api: api(i),
      xds: `${machines.address(i)}:18000`,
      token: "tester",
      flags: [
        ...["--store", etcd.address("weir"), "--access", access],
        ...["--gateway", `127.0.0.1:${gatewayPort}`],
        ...all.flatMap((other) => ["--peer", api(other)]),
      ],
    }),
  );
  onTestFinished(async () => {
    for (const replica of replicas) await replica.kill();
  });
  await Promise.all(replicas.map((replica) => replica.start()));

  const pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  for (const pod of pods) onTestFinished(() => pod.close());
  const endpoints = pods.map(({ port }) => `127.0.0.1:${port}`);
  const first = replicas[0] as Replica;
  for (const name of ["chat", "walked"])
    await first.routes.applyRoute({ route: measuredRoute("canary", name, endpoints) });
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({
      node: "edge-1",
      xds: all.map((i) => ({ host: machines.address(i), port: 18_000 })),
      admin: local(adminPort),
      token: "edge",
    }),
    admin: local(adminPort),
    concurrency: 1,
  });
  onTestFinished(() => envoy.stop());
  const gateway = gatewayClient(`http://127.0.0.1:${gatewayPort}`);
  onTestFinished(() => gateway.close());
  const answers = (name: string) =>
    gateway.get("/v1/models", { host: `${name}.example.com`, "x-user-id": "first" }).then(
      ({ status }) => status,
      () => 0,
    );
  for (const name of ["chat", "walked"])
    await expect.poll(() => answers(name), { timeout: 30_000 }).toBe(200);

  const random = generator(3);
  const traffic = ["chat", "walked"].map((name) =>
    startTraffic(gateway, `${name}.example.com`, pauseMs),
  );
  const shifts = startShifts(replicas, generator(4));
  const walks = walk(replicas, "walked", generator(5));
  const done: Record<string, number> = {};
  const kinds = disturbances(machines, etcd, replicas, random, longestMs);
  const startedMs = Date.now();
  const order = shuffled(Object.keys(kinds), random);
  const failed = () => traffic.flatMap((each) => each.failures);
  const sum = (of: "requests" | "streams") => traffic.reduce((all, each) => all + each[of], 0);
  const progress = () =>
    `${sum("requests")} requests, ${failed().length} failed, ${shifts.acknowledged.length} of ${shifts.asked} shifts, ${walks.ended.length} of ${walks.started} rollouts`;
  const lives = () =>
    Date.now() - startedMs < seconds * 1_000 ||
    Object.keys(done).length < Object.keys(kinds).length;
  while (lives()) {
    const kind = order.next().value;
    const machine = Math.floor(random() * 3);
    if (isLong) console.log(`${new Date().toISOString()} ${kind}: ${machine}; ${progress()}`);
    await kinds[kind]?.(machine);
    done[kind] = (done[kind] ?? 0) + 1;
    await sleep(random() * calmMs);
  }
  await shifts.stop();
  await walks.finish();
  await Promise.all(traffic.map((each) => each.stop()));

  const store = openStore(etcd.address("weir"));
  onTestFinished(() => store.close());
  const entries = (await store.audit("", 10_000_000)).reverse();
  const written = entries
    .map(({ reason }) => reason)
    .filter((reason) => reason.startsWith("shift "));
  const seen = new Set(written);
  const lost = shifts.acknowledged.filter((reason) => !seen.has(reason));
  const { steps, wrong } = stepsOf(entries.filter(({ name }) => name === "inference/walked"));
  const succeeded = walks.ended.filter((end) => end === "succeeded").length;
  const failures = failed();
  console.log(
    [
      `${Math.round((Date.now() - startedMs) / 1_000)} s: ${sum("requests")} requests (${sum("streams")} streams), ${failures.length} failed`,
      `${shifts.asked} shifts asked for, ${shifts.acknowledged.length} acknowledged, ${lost.length} lost, ${written.length - seen.size} doubled`,
      `${walks.started} rollouts, ${succeeded} to the end, ${walks.resumed} times resumed, ${steps} steps, ${wrong.length} lost or doubled`,
      Object.entries(done)
        .map(([kind, times]) => `${kind}: ${times}`)
        .join(", "),
      `not to the end: ${walks.ended.filter((end) => end !== "succeeded").join(" | ") || "none"}`,
    ].join("\n"),
  );
  if (failures.length > 0) console.log(envoy.log().slice(-20_000));
  expect(failures.slice(0, 20)).toEqual([]);
  expect(lost).toEqual([]);
  expect(seen.size).toBe(written.length);
  expect(wrong).toEqual([]);
  expect(succeeded).toBeGreaterThan(0);
  expect(shifts.acknowledged.length).toBeGreaterThan(shifts.asked / 4);
  // One row without a gap, whoever wrote.
  expect(entries.map(({ sequence }) => Number(sequence))).toEqual(entries.map((_, i) => i + 1));
  // All replicas and the proxy end with the same weights, and every replica knows the proxy.
  const states = () => Promise.all(replicas.map((each) => each.routes.getRoute({ name: "chat" })));
  expect(new Set((await states()).map(({ state }) => state?.etag)).size).toBe(1);
  await expect
    .poll(
      async () => (await states()).map(({ applied }) => [applied?.wanted, applied?.applied].join()),
      { timeout: 90_000 },
    )
    .toEqual(["1,1", "1,1", "1,1"]);
});
