import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { RolloutStateSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, readBackup, readContents, writeBackup } from "../../control/store/index.ts";
import { blocksOf } from "../docs/pages.ts";
import { messageWith } from "../route/documents.ts";
import { type EtcdCluster, startEtcd } from "./etcd-cluster.ts";

const author = { principal: "ada", reason: "backup" };
const draft = (canary: number) =>
  draftRoute(messageWith({ stable: 100 - canary, canary }), undefined);

let etcd: EtcdCluster;
let text: string;
let lmdb: string;
beforeAll(async () => {
  etcd = await startEtcd();
  lmdb = mkdtempSync(join(tmpdir(), "weir-backup-"));
  const store = openStore(`lmdb:${lmdb}`);
  for (let i = 0; i < 150; i++)
    await store.put("inference/chat", draft(i % 100), "", "shift", author);
  const metadata = { namespace: "inference", name: "chat" };
  const rollout = create(RolloutStateSchema, { phase: "running", rollout: { metadata, spec: {} } });
  await store.putRollout("inference/chat", { rollout, etag: "" }, "rollout-start", author);
  text = writeBackup(await readContents(store));
  await store.close();
});
afterAll(async () => {
  await etcd?.close();
  rmSync(lmdb, { recursive: true });
});

it("goes by the commands of its page", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-backup-page-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [commands = ""] = blocksOf("docs/reliability.md", "sh");
  const here = commands
    .replaceAll("/var/lib/weir", lmdb)
    .replaceAll("etcd://10.0.0.1:2379/weir", etcd.address("page"))
    .replaceAll("npx weir", `${process.execPath} ${resolve("dist/control/main.js")}`);
  const { status, stdout, stderr } = spawnSync("bash", ["-euc", here], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  expect(stdout).not.toBe("");
  const store = openStore(etcd.address("page"));
  onTestFinished(() => store.close());
  expect(writeBackup(await readContents(store))).toBe(text);
});

describe("a backup", () => {
  it("moves a store from lmdb to etcd and back, with every etag and every audit entry", async () => {
    const into = openStore(etcd.address("moved"));
    onTestFinished(() => into.close());
    await into.restore?.(readBackup(text));
    const moved = writeBackup(await readContents(into));
    expect(moved).toBe(text);
    const [route] = (await into.list()).routes;
    // What an operator read before the move still counts after it.
    await into.put("inference/chat", draft(1), route?.etag ?? "", "shift", author);
    expect((await into.list()).sequence).toBe(152n);
    const back = mkdtempSync(join(tmpdir(), "weir-back-"));
    onTestFinished(() => rmSync(back, { recursive: true }));
    const again = openStore(`lmdb:${back}`);
    onTestFinished(() => again.close());
    await again.restore?.(readBackup(moved));
    expect(writeBackup(await readContents(again))).toBe(text);
  });

  it.each(["memory", "etcd", "lmdb"])("is not put over what a %s store has", async (kind) => {
    const directory = mkdtempSync(join(tmpdir(), "weir-full-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const address = { memory: "memory", etcd: etcd.address("full"), lmdb: `lmdb:${directory}` }[
      kind
    ];
    const store = openStore(address ?? "");
    onTestFinished(() => store.close());
    await store.put("n/r", draft(5), "", "apply", author);
    await expect(store.restore?.(readBackup(text))).rejects.toThrow(/not empty/);
    expect((await store.list()).sequence).toBe(1n);
  });

  it.each<[string, (whole: string) => string, RegExp]>([
    ["is cut off in a line", (whole) => whole.slice(0, -30), /not JSON: the file may be cut off/],
    [
      "lost its last line",
      (whole) => whole.split("\n").slice(0, -2).join("\n"),
      /its last line is missing/,
    ],
    ["was changed", (whole) => whole.replace("ada", "eve"), /checksum does not match/],
    [
      "is of a newer version",
      (whole) => whole.replace('"version":1', '"version":2'),
      /has version 2/,
    ],
    ["is something else", () => "{}\n", /this is not a backup/],
    ["is empty", () => "", /not JSON/],
  ])("that %s is refused", (_name, damage, why) => {
    expect(() => readBackup(damage(text))).toThrow(why);
  });
});

it("a backup of a version that called a verdict's message its words is read", () => {
  const verdicts = [{ check: "success-rate", outcome: "fail", words: "success-rate fail: 3 %" }];
  const lines = [
    JSON.stringify({ weir: "backup", version: 1 }),
    JSON.stringify({ name: "inference/chat", rollout: { phase: "rolled-back", verdicts } }),
  ];
  const sha256 = createHash("sha256").update(lines.join("\n")).digest("hex");
  const end = JSON.stringify({ end: { sequence: "1", lines: 2, sha256 } });
  const { rollouts } = readBackup([...lines, end, ""].join("\n"));
  expect(rollouts.get("inference/chat")?.verdicts.map(({ message }) => message)).toEqual([
    "success-rate fail: 3 %",
  ]);
});
