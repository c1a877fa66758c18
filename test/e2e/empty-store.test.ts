import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { type EtcdCluster, startEtcd } from "../store/etcd-cluster.ts";
import { routeOver, type Serving, type Start, startServing, until } from "./serving.ts";
import { weir } from "./weir-up.ts";

let etcd: EtcdCluster;
let pods: Pod[];
let folder: string;
let document: string;
beforeAll(async () => {
  etcd = await startEtcd();
  pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  folder = mkdtempSync(join(tmpdir(), "weir-empty-"));
  document = join(folder, "route.yaml");
  const example = readFileSync("examples/canary/route.yaml", "utf8");
  writeFileSync(
    document,
    routeOver(
      example,
      pods.map(({ port }) => port),
    ),
  );
});
afterAll(async () => {
  for (const pod of pods) await pod.close();
  await etcd.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What goes wrong with a store between two starts of the service. */
interface Loss {
  before: Start;
  /** What happens while the service is away. */
  lose?: () => void;
  after: Start;
}

const losses: [name: string, delta: boolean, lose: (directory: string) => Loss][] = [
  [
    "a store in memory after a restart",
    false,
    () => ({ before: { flags: ["--store", "memory"] }, after: { flags: ["--store", "memory"] } }),
  ],
  [
    "a volume that did not mount",
    true,
    (directory) => ({
      before: { flags: ["--store", `lmdb:${directory}/data`] },
      lose() {
        renameSync(`${directory}/data`, `${directory}/unmounted`);
        mkdirSync(`${directory}/data`);
      },
      after: { flags: ["--store", `lmdb:${directory}/data`] },
    }),
  ],
  [
    "another prefix in etcd",
    false,
    () => ({
      before: { flags: ["--store", etcd.address("one")] },
      after: { flags: ["--store", etcd.address("other")] },
    }),
  ],
  [
    "a path from another working directory",
    true,
    (directory) => ({
      before: { flags: ["--store", "lmdb:data"], cwd: directory },
      after: { flags: ["--store", "lmdb:data"], cwd: elsewhereIn(directory) },
    }),
  ],
];

/** A working directory beside that of before. */
function elsewhereIn(directory: string): string {
  const elsewhere = join(directory, "elsewhere");
  mkdirSync(elsewhere, { recursive: true });
  return elsewhere;
}

describe.each(losses)("%s", (name, delta, lose) => {
  let serving: Serving;
  let loss: Loss;

  beforeAll(async () => {
    const directory = join(folder, name.replaceAll(" ", "-"));
    mkdirSync(directory);
    loss = lose(directory);
    serving = await startServing(document, loss.before, delta);
  }, 180_000);
  afterAll(() => serving?.stop());

  it("takes nothing from a proxy that serves: status, log and readiness say why", {
    timeout: 180_000,
  }, async () => {
    const { server, traffic } = serving;
    expect((await serving.ready()).status).toBe(200);
    await serving.end();
    loss.lose?.();
    await serving.serve(loss.after);
    const why = await until(async () => {
      const answer = await serving.ready();
      return answer.status === 503 && answer.text.includes("gateway-1") && answer.text;
    }, "readiness says why");
    expect(why).toMatch(
      /^the store \S+ is new and empty, but 1 proxy runs a configuration \(gateway-1\): nothing is sent/,
    );
    expect(serving.said()).toContain("is new and empty, but 1 proxy runs");
    const status = await weir(["proxies", "--server", server]);
    expect(status.stderr).toContain("--accept-empty");
    // Long enough for whatever is published to have been sent: what came first would be emptiness.
    await serving.more(300);
    expect(traffic.failures).toEqual([]);
    expect((await weir(["apply", "-f", document, "--server", server])).code).toBe(0);
    await until(async () => (await serving.ready()).status === 200, "readiness is back");
    await serving.inStep();
    expect(traffic.failures).toEqual([]);
  });

  it("is taken for what is wanted with --accept-empty, and a store that was emptied by hand as well", {
    timeout: 180_000,
  }, async () => {
    const { client, server } = serving;
    await serving.quiet();
    const asked = () => client.get("/v1/models", { "x-tenant-id": "acme" }).catch(() => undefined);
    const emptied = () => until(async () => (await asked())?.status !== 200, "the route is gone");
    if (name.startsWith("a store in memory")) {
      await serving.end();
      await serving.serve({ flags: [...loss.after.flags, "--accept-empty"] });
      await emptied();
      return;
    }
    expect((await weir(["delete", "chat", "--server", server])).stderr).toBe("");
    await emptied();
    await serving.end();
    await serving.serve(loss.after);
    expect((await serving.ready()).status).toBe(200);
    await emptied();
  });
});
