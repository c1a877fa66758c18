import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { routeOver, type Start, startServing } from "./serving.ts";
import { weir } from "./weir-up.ts";

// What the service must not take for an empty store, under traffic through a real Envoy.

const patience = { timeout: 240_000 };
let pods: Pod[];
let folder: string;
let document: string;
beforeAll(async () => {
  pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  folder = mkdtempSync(join(tmpdir(), "weir-gone-"));
  document = join(folder, "route.yaml");
  const ports = pods.map(({ port }) => port);
  writeFileSync(document, routeOver(readFileSync("examples/canary/route.yaml", "utf8"), ports));
});
afterAll(async () => {
  for (const pod of pods) await pod.close();
  rmSync(folder, { recursive: true, force: true });
});

async function serving(first: Start, delta: boolean) {
  const started = await startServing(document, first, delta);
  onTestFinished(() => started.stop());
  return started;
}

it(
  "no request fails while data.mdb is gone beside its layout, nor when it is back",
  patience,
  async () => {
    const store = join(folder, "store");
    const start = { flags: ["--store", `lmdb:${store}`] };
    const { traffic, ...service } = await serving(start, true);
    await service.end();
    renameSync(join(store, "data.mdb"), join(folder, "data.mdb"));
    expect(await service.fail(start)).not.toBe(0);
    expect(service.said()).toContain("its data.mdb is gone");
    await service.more(300);
    expect(traffic.failures).toEqual([]);

    renameSync(join(folder, "data.mdb"), join(store, "data.mdb"));
    await service.serve(start);
    expect((await service.ready()).status).toBe(200);
    await service.inStep();
    await service.more(100);
    expect(traffic.failures).toEqual([]);
  },
);

it(
  "no request fails when the service starts in another working directory, and it knows its routes",
  patience,
  async () => {
    const [one, other] = [join(folder, "one"), join(folder, "other")];
    mkdirSync(one);
    mkdirSync(other);
    const env = { XDG_STATE_HOME: join(folder, "state") };
    const { traffic, server, ...service } = await serving({ flags: [], cwd: one, env }, false);
    await weir(["shift", "chat", "canary=37", "--server", server]);
    await service.end();
    await service.serve({ flags: [], cwd: other, env });
    expect((await service.ready()).status).toBe(200);
    expect((await weir(["status", "chat", "--server", server])).stdout).toMatch(/canary.*37/);
    await service.inStep();
    await service.more(300);
    expect(traffic.failures).toEqual([]);
  },
);
