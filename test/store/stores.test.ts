import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, StoreUnavailableError } from "../../control/store/index.ts";
import { messageWith } from "../route/documents.ts";
import { storeContract } from "./contract.ts";

storeContract("memory", async () => ({ store: openStore("memory"), remove: async () => {} }));
storeContract("lmdb", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-store-"));
  return {
    store: openStore(`lmdb:${directory}`),
    remove: async () => rmSync(directory, { recursive: true }),
  };
});

describe("an lmdb store's directory", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "weir-store-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  async function fill(routes: number): Promise<void> {
    const store = openStore(`lmdb:${directory}`);
    const draft = draftRoute(messageWith({ stable: 90, canary: 10 }), undefined);
    for (let i = 0; i < routes; i++)
      await store.put(`inference/r${i}`, draft, "", "apply", { principal: "t", reason: "" });
    await store.close();
  }

  it("keeps routes, etags and the sequence over a restart", async () => {
    await fill(3);
    const store = openStore(`lmdb:${directory}`);
    expect((await store.list()).routes.map(({ etag }) => etag)).toEqual(["1", "2", "3"]);
    expect((await store.list()).sequence).toBe(3n);
    await store.close();
  });

  it("is for one process at a time", async () => {
    const store = openStore(`lmdb:${directory}`);
    expect(readFileSync(join(directory, "owner"), "utf8")).toContain(String(process.pid));
    // Process 1 is always there, and it is not this one.
    const start = readFileSync("/proc/1/stat", "utf8").split(") ").at(-1)?.split(" ")[19];
    await store.close();
    writeFileSync(join(directory, "owner"), `1 ${start}`);
    expect(() => openStore(`lmdb:${directory}`)).toThrow(/in use by process 1/);
  });

  it("is taken over from a process that died", async () => {
    writeFileSync(join(directory, "owner"), "999999 12345");
    await openStore(`lmdb:${directory}`).close();
  });

  it.each<[string, () => void, RegExp]>([
    [
      "cut to half",
      () => truncateSync(join(directory, "data.mdb"), 12288),
      /restore it from a backup/,
    ],
    ["emptied", () => truncateSync(join(directory, "data.mdb"), 0), /restore it from a backup/],
    [
      "overwritten",
      () => writeFileSync(join(directory, "data.mdb"), Buffer.alloc(65536, 7)),
      /restore it from a backup/,
    ],
    [
      "of a newer layout",
      () => writeFileSync(join(directory, "layout"), "2\n"),
      /has layout 2; this version of weir reads layout 1/,
    ],
    [
      "without its layout",
      () => rmSync(join(directory, "layout")),
      /has data but no layout file: it is incomplete, restore it from a backup/,
    ],
  ])("is refused when it was %s, never read as empty", async (_name, damage, why) => {
    await fill(50);
    damage();
    expect(() => openStore(`lmdb:${directory}`)).toThrow(StoreUnavailableError);
    expect(() => openStore(`lmdb:${directory}`)).toThrow(why);
  });
});

it("names the kinds of store there are", () => {
  expect(() => openStore("redis:6379")).toThrow(
    'unknown store "redis:6379": use memory, lmdb:DIRECTORY, etcd://HOST:PORT and kube[:NAMESPACE]',
  );
});
