import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import {
  openStore,
  readContents,
  StoreUnavailableError,
  writeBackup,
} from "../../control/store/index.ts";
import { generator } from "../random.ts";
import { messageWith } from "../route/documents.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-disk-"));
});
afterEach(() => {
  chmodSync(directory, 0o700);
  rmSync(directory, { recursive: true });
});
const address = () => `lmdb:${directory}`;
const author = { principal: "t", reason: "disk" };
const draft = (canary = 10) => draftRoute(messageWith({ stable: 100 - canary, canary }), undefined);

async function fill(routes: number): Promise<void> {
  const store = openStore(address());
  for (let i = 0; i < routes; i++) await store.put(`n/r${i}`, draft(i), "", "apply", author);
  await store.close();
}

/** Each reader and writer is a process of its own, whose start takes its time on a busy machine. */
const patience = { timeout: 240_000 };

/** Runs the writer until it is refused on a small disk, then again when there is room; the lines of both. */
async function writersOnSmallDisk(): Promise<[first: string[], second: string[]]> {
  const disk = join(directory, "disk");
  mkdirSync(disk);
  const writer = `"${process.execPath}" test/faults/writer.js "${disk}/store" 0`;
  const script = [
    `mount -t tmpfs -o size=8m tmpfs "${disk}"`,
    `head -c 2000000 /dev/zero > "${disk}/other"`,
    // Into files: a pipe that is full for a moment would look like a refusal.
    `${writer} > "${directory}/first" 2>&1`,
    `rm "${disk}/other"`,
    `${writer} > "${directory}/second" 2>&1`,
  ].join("\n");
  // A mount of its own, which goes with the shell.
  const child = spawn("unshare", ["--mount", "--map-root-user", "bash", "-euc", script], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, UNTIL_REFUSED: "1" },
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code).toBe(0);
  const linesOf = (name: string) =>
    readFileSync(join(directory, name), "utf8").split("\n").filter(Boolean);
  return [linesOf("first"), linesOf("second")];
}

describe("D2: a disk that takes nothing more", patience, () => {
  it("refuses the write with the reason, keeps what is there, and takes writes again when there is room", async () => {
    const [first, second] = await writersOnSmallDisk();
    const acks = (lines: string[]) => lines.filter((line) => line.startsWith("0 n/"));
    let before = 0;
    for (const lines of [first, second]) {
      const refusal = lines.at(-2) ?? "";
      expect(refusal).toMatch(
        /^refused the store .* accepts no writes: no space left on its disk \(\d+ bytes/,
      );
      expect(Number(/(\d+) bytes/.exec(refusal)?.[1])).toBeLessThan(4 << 20);
      expect(acks(lines).length).toBeGreaterThan(10);
      // Reads go on, and find all that was acknowledged.
      before += acks(lines).length;
      expect(lines.at(-1)).toBe(`read 5 routes and ${before} changes`);
    }
    // The second goes on where the first was refused: its first write has the next number.
    expect(acks(second)[0]?.split(" ")[2]).toBe(String(acks(first).length + 1));
  });

  it("is refused at the start when it is read-only, with where it is, and left as it was", () => {
    const disk = join(directory, "disk");
    mkdirSync(disk);
    const writer = `"${process.execPath}" test/faults/writer.js "${disk}/store" 0`;
    const script = [
      `mount -t tmpfs -o size=32m tmpfs "${disk}"`,
      `timeout 3 ${writer} > "${directory}/first" || true`,
      `mount -o remount,ro "${disk}" || exit 1`,
      `${writer} 2>&1 || true`,
      `mount -o remount,rw "${disk}"`,
      `timeout 3 ${writer} > "${directory}/second" || true`,
    ].join("\n");
    const said = execFileSync("unshare", ["--mount", "--map-root-user", "bash", "-uc", script], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    expect(said).toMatch(/StoreUnavailableError: cannot take the store \S+: EROFS: read-only/);
    const etags = (name: string) =>
      readFileSync(join(directory, name), "utf8")
        .split("\n")
        .filter((line) => line.startsWith("0 n/"))
        .map((line) => Number(line.split(" ")[2]));
    const [before, after] = [etags("first"), etags("second")];
    expect(before.length).toBeGreaterThan(0);
    // One write may have been under way when the first writer was ended.
    expect([1, 2]).toContain((after[0] ?? 0) - (before.at(-1) ?? 0));
  });

  it("is refused at the start when it cannot be written at all, with where it is", () => {
    writeFileSync(join(directory, "file"), "");
    expect(() => openStore(`lmdb:${join(directory, "file")}`)).toThrow(StoreUnavailableError);
  });
});

describe("D3: a store's file", patience, () => {
  const file = () => join(directory, "data.mdb");

  it("of which any bit was flipped is refused, or read without a wrong word; never read as empty", async () => {
    await fill(20);
    const whole = join(directory, "whole");
    copyFileSync(file(), whole);
    const size = readFileSync(whole).length;
    const before = openStore(address());
    const right = writeBackup(await readContents(before));
    await before.close();
    const random = generator(11);
    let refused = 0;
    let harmless = 0;
    for (let i = 0; i < 16; i++) {
      copyFileSync(whole, file());
      const at = Math.floor(random() * size);
      const bytes = readFileSync(file()).subarray(at, at + 1);
      const handle = openSync(file(), "r+");
      writeSync(handle, Buffer.from([(bytes[0] ?? 0) ^ (1 << Math.floor(random() * 8))]), 0, 1, at);
      closeSync(handle);
      // Damage to LMDB's own pages may end the process: a process of its own reads it.
      const result = read(address());
      if (result.status === 0 && result.text === right.trim()) harmless++;
      else if (result.status !== 0) refused++;
      else expect(`byte ${at}: ${result.text}`).toBe(right);
    }
    expect(refused + harmless).toBe(16);
    expect(harmless).toBeGreaterThan(0);
  });

  it.each([0, 1, 100, 4096, 5000, 8192, 12_000, 30_000])(
    "cut off at %i bytes is refused with what to do",
    async (size) => {
      await fill(50);
      truncateSync(file(), size);
      expect(() => openStore(address())).toThrow(/damaged or cut off .*restore it from a backup/);
    },
  );

  it("of a newer version is refused with both versions", async () => {
    await fill(1);
    writeFileSync(join(directory, "layout"), "99\n");
    expect(() => openStore(address())).toThrow(
      /has layout 99; this version of weir reads layout 1/,
    );
  });
});

/** What a process of its own reads; its status is not 0 when it refuses or dies. */
function read(from: string): { status: number; text: string } {
  const script = `
    import { writeSync } from "node:fs";
    import { openStore, readContents, writeBackup } from "./dist/control/store/index.js";
    const store = openStore(process.argv[1]);
    const text = writeBackup(await readContents(store));
    for (let at = 0; at < text.length; ) at += writeSync(1, text.slice(at));
    process.exit(0);`;
  try {
    const text = execFileSync(process.execPath, ["--input-type=module", "-e", script, from], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 64 << 20,
      timeout: 20_000,
    });
    return { status: 0, text: text.trim() };
  } catch {
    return { status: 1, text: "" };
  }
}
