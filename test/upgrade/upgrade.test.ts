import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { FilterConfigSchema } from "../../control/gen/weir/v1/filter_pb.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { openStore, readBackup, writeBackup } from "../../control/store/index.ts";
import { compiled } from "../filters/module.ts";
import { createSharedState } from "../host/proxy.ts";
import { startWorker } from "../host/worker.ts";

/**
 * What earlier versions wrote, as they wrote it: `weir serve --store lmdb:...` of that version
 * with routes.yaml applied and two shifts, `weir export` of it, and the filters'
 * configurations out of `weir render`. Never written anew: that would prove nothing.
 */
const versions = readdirSync("test/upgrade", { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe.each(versions)("what %s wrote", (version) => {
  const file = (name: string) => readFileSync(`test/upgrade/${version}/${name}`, "utf8");
  const names = [
    "inference/assistant",
    "inference/canary",
    "inference/embeddings",
    "inference/vectors",
  ];

  it("documents are still right", () => {
    const { problems, routes } = parseRoutes(file("routes.yaml"));
    expect(problems).toEqual([]);
    expect(routes).toHaveLength(names.length);
  });

  it("a store opens, with its routes, etags and audit, and can be written", async () => {
    const directory = mkdtempSync(join(tmpdir(), "weir-upgrade-"));
    try {
      cpSync(`test/upgrade/${version}/lmdb`, directory, { recursive: true });
      const store = openStore(`lmdb:${directory}`);
      const { routes } = await store.list();
      expect(
        routes.map(({ route }) => `${route?.metadata?.namespace}/${route?.metadata?.name}`).sort(),
      ).toEqual(names);
      const audit = await store.audit("inference/canary", 10);
      expect(audit.map(({ action }) => action)).toEqual(["shift", "shift", "apply"]);
      const state = await store.get("inference/canary");
      expect(state?.route?.spec?.variants.map(({ weight }) => weight)).toEqual([90, 10]);
      if (state?.route === undefined) throw new Error("the route is gone");
      const { route, buckets } = state;
      const after = await store.put("inference/canary", { route, buckets }, state.etag, "apply", {
        principal: "test",
        reason: "after the upgrade",
      });
      expect(after.etag).not.toBe(state.etag);
      await store.close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("a backup is read, and says the same when it is written again", async () => {
    const contents = readBackup(file("backup.jsonl"));
    expect([...contents.routes.keys()].sort()).toEqual(names);
    expect(contents.entries).toHaveLength(6);
    const again = readBackup(writeBackup(contents));
    expect(again).toEqual(contents);
  });

  it("filters take the configurations, so that they may be newer than the control service", () => {
    const configs = JSON.parse(file("filter-configs.json")) as object[];
    expect(configs.length).toBeGreaterThan(0);
    for (const config of configs) {
      const shared = createSharedState();
      expect(
        startWorker(compiled("weir"), shared).configure(1, JSON.stringify(config)),
        JSON.stringify(shared.log),
      ).toBe(true);
      expect(fromJson(FilterConfigSchema, config as never).routes.length).toBeGreaterThan(0);
    }
  });
});

it("what a newer version wrote is refused, and says so", () => {
  const [head = "", ...rest] = readFileSync("test/upgrade/0.1.0/backup.jsonl", "utf8").split("\n");
  const newer = [head.replace('"version":1', '"version":2'), ...rest].join("\n");
  expect(() => readBackup(newer)).toThrow(/version 2; this version of weir reads version 1/);
});
