import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, readContents, writeBackup } from "../../control/store/index.ts";
import { generator } from "../random.ts";
import { messageWith } from "../route/documents.ts";

const pageSize = 4096;
const long = process.env.WEIR_LONG === "1";
let directory: string;
let whole: Buffer;
let right: string;
const address = () => `lmdb:${directory}`;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-pages-"));
  const store = openStore(address());
  const author = { principal: "t", reason: "r".repeat(50) };
  for (let i = 0; i < 150; i++) {
    const draft = draftRoute(messageWith({ stable: 90, canary: 10 }), undefined);
    await store.put(`n/r${i % 40}`, draft, "", "apply", {
      ...author,
      // Some records are larger than a page.
      reason: i % 10 === 0 ? "x".repeat(9_000) : author.reason,
    });
    if (i % 7 === 0) await store.delete(`n/r${i % 40}`, "", author);
  }
  right = writeBackup(await readContents(store));
  await store.close();
  copyFileSync(join(directory, "data.mdb"), join(directory, "whole"));
  whole = readFileSync(join(directory, "whole"));
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Opens the store with these bytes as its data: what is wrong with it, or all that is in it. */
async function opened(bytes: Buffer): Promise<string> {
  writeFileSync(join(directory, "data.mdb"), bytes);
  let store: ReturnType<typeof openStore>;
  try {
    store = openStore(address());
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const all = writeBackup(await readContents(store));
  await store.close();
  return all;
}

describe("D3: pages in the middle of a store's file", () => {
  it.each(Array.from({ length: long ? 400 : 12 }, (_, seed) => seed))(
    "that were overwritten are found before a write is taken, or were in no use: seed %i",
    async (seed) => {
      const random = generator(seed + 1);
      const bytes = Buffer.from(whole);
      const count = [1, 2, 5, 40][seed % 4] ?? 1;
      for (let i = 0; i < count; i++) {
        const page = 2 + Math.floor(random() * (bytes.length / pageSize - 2));
        const kind = Math.floor(random() * 3);
        for (let at = page * pageSize; at < (page + 1) * pageSize; at++)
          bytes[at] = kind === 0 ? Math.floor(random() * 256) : kind === 1 ? 0 : 0xff;
      }
      const found = await opened(bytes);
      if (found !== right) expect(found).toMatch(/is damaged .*: restore it from a backup$/);
      // Forty of them never are all among the free ones.
      if (count === 40) expect(found).not.toBe(right);
    },
    60_000,
  );

  it.each(Array.from({ length: long ? 3_000 : 40 }, (_, seed) => seed))(
    "of which a bit flipped are refused or read without a wrong word, audit and all: seed %i",
    async (seed) => {
      const random = generator(seed + 1_000);
      const bytes = Buffer.from(whole);
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      const found = await opened(bytes);
      if (found !== right) expect(found, `byte ${at}`).toMatch(/damaged|cut off/);
    },
    60_000,
  );

  it("that are of another page, or of the store a while ago, are found", async () => {
    const pages = whole.length / pageSize;
    let refused = 0;
    for (let page = 2; page < pages; page += 5) {
      const bytes = Buffer.from(whole);
      whole.copy(
        bytes,
        page * pageSize,
        ((page + 1) % pages) * pageSize,
        ((page + 1) % pages) * pageSize + pageSize,
      );
      const found = await opened(bytes);
      if (found === right) continue;
      expect(found).toMatch(/damaged|cut off/);
      refused++;
    }
    expect(refused).toBeGreaterThan(pages / 20);
  }, 120_000);
});
