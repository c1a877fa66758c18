import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import { defaultStore, openStore, StoreUnavailableError } from "../../control/store/index.ts";
import { messageWith } from "../route/documents.ts";

const main = resolve("dist/control/main.js");
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-place-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function fill(path: string): Promise<void> {
  const store = openStore(`lmdb:${path}`);
  const draft = draftRoute(messageWith({ stable: 90, canary: 10 }), undefined);
  await store.put("n/r", draft, "", "apply", { principal: "t", reason: "" });
  await store.close();
}

/** Runs a weir command to its end; a deadline ends what would never end. */
async function run(
  args: string[],
  { env = {}, cwd = process.cwd() }: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      said += chunk;
    });
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const code = await new Promise<number | null>((done) => child.once("close", done));
  clearTimeout(timer);
  return { code, said };
}

describe("D13: an odd place for a store", () => {
  it.each<[string, () => string, RegExp]>([
    ["below /proc", () => "/proc/x", /cannot make the store's directory \/proc\/x: ENOENT/],
    ["deep below /proc", () => "/proc/x/y/z", /cannot make the store's directory/],
    ["a device", () => "/dev/null", /is not a directory/],
    ["below a device", () => "/dev/null/x", /not a directory/i],
    [
      "a file",
      () => {
        writeFileSync(join(directory, "file"), "");
        return join(directory, "file");
      },
      /is not a directory/,
    ],
    [
      "a loop of links",
      () => {
        symlinkSync(join(directory, "b"), join(directory, "a"));
        symlinkSync(join(directory, "a"), join(directory, "b"));
        return join(directory, "a");
      },
      /ELOOP/,
    ],
    [
      "a link that leads nowhere",
      () => {
        symlinkSync(join(directory, "nowhere"), join(directory, "link"));
        return join(directory, "link");
      },
      /EEXIST/,
    ],
    [
      "a FIFO",
      () => {
        execFileSync("mkfifo", [join(directory, "fifo")]);
        return join(directory, "fifo");
      },
      /is not a directory/,
    ],
    ...["owner", "layout", "data.mdb", "lock.mdb"].map((name): [string, () => string, RegExp] => [
      `a FIFO in the place of ${name}`,
      () => {
        execFileSync("mkfifo", [join(directory, name)]);
        return directory;
      },
      /is not a plain file/,
    ]),
    [
      "a directory in the place of the data",
      () => {
        mkdirSync(join(directory, "data.mdb"));
        return directory;
      },
      /is not a plain file/,
    ],
  ])("%s is refused at once, with what is wrong, and exit code 1", async (_name, make, why) => {
    const { code, said } = await run(["serve", "--store", `lmdb:${make()}`]);
    expect(said).toMatch(why);
    expect(code).toBe(1);
  });

  it("a directory that may not be read is refused with why", () => {
    mkdirSync(join(directory, "closed"), { mode: 0o700 });
    const script = `
      import { openStore } from ${JSON.stringify(resolve("dist/control/store/index.js"))};
      process.setuid(65534);
      try { openStore(process.argv[1]); } catch (error) { console.log(error.name, error.message); }`;
    const said = execFileSync(
      process.execPath,
      ["--input-type=module", "-e", script, `lmdb:${join(directory, "closed", "store")}`],
      { encoding: "utf8" },
    );
    expect(said).toMatch(/StoreUnavailableError cannot make the store's directory .*EACCES/);
  });

  it("SIGTERM ends a service while its store is being opened", async () => {
    // A file system that never answers cannot be had here: a store of one that takes long can.
    await fill(directory);
    const preload = join(directory, "slow.mjs");
    writeFileSync(
      preload,
      `import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";
       const { statSync } = fs;
       fs.statSync = (path, ...rest) => {
         if (String(path) === ${JSON.stringify(directory)}) {
           process.stderr.write("opening\\n");
           Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 120_000);
         }
         return statSync(path, ...rest);
       };
       syncBuiltinESMExports();`,
    );
    const child = spawn(
      process.execPath,
      ["--import", preload, main, "serve", "--store", `lmdb:${directory}`],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    await new Promise<void>((opening) => {
      child.stderr.on("data", (chunk: Buffer) => {
        if (String(chunk).includes("opening")) opening();
      });
    });
    const ended = new Promise((done) => child.once("exit", (_code, signal) => done(signal)));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    expect(await ended).toBe("SIGTERM");
    clearTimeout(timer);
  });
});

describe("D14: a store of which a part is gone", () => {
  it("is refused when the data is gone beside its layout, and not begun anew", async () => {
    await fill(directory);
    rmSync(join(directory, "data.mdb"));
    expect(() => openStore(`lmdb:${directory}`)).toThrow(/its data.mdb is gone/);
    expect(() => openStore(`lmdb:${directory}`)).toThrow(StoreUnavailableError);
  });

  it.each(["", "half"])(
    "is begun anew after a start that was killed before anything was stored: %s",
    async (left) => {
      writeFileSync(join(directory, "layout"), "making\n");
      if (left) writeFileSync(join(directory, "data.mdb"), Buffer.alloc(5_000, 3));
      await fill(directory);
      const store = openStore(`lmdb:${directory}`);
      expect((await store.list()).sequence).toBe(1n);
      await store.close();
    },
  );

  it("a copy of a store in use is opened, the store itself and one that was moved are not", async () => {
    const original = join(directory, "original");
    await fill(original);
    const store = openStore(`lmdb:${original}`);
    const copy = join(directory, "copy");
    cpSync(original, copy, { recursive: true });
    const opened = openStore(`lmdb:${copy}`);
    expect((await opened.list()).sequence).toBe(1n);
    await opened.close();
    expect(() => openStore(`lmdb:${original}`)).toThrow(/is in use by process/);
    renameSync(original, join(directory, "moved"));
    expect(() => openStore(`lmdb:${join(directory, "moved")}`)).toThrow(/is in use by process/);
    renameSync(join(directory, "moved"), original);
    await store.close();
  });

  it("is not backed up as if nothing had been in it", async () => {
    const missing = await run(["export", "--store", `lmdb:${join(directory, "missing")}`]);
    expect(missing).toMatchObject({ code: 1, said: expect.stringContaining("ENOENT") });
    await openStore(`lmdb:${directory}/new`).close();
    const empty = await run(["export", "--store", `lmdb:${directory}/new`]);
    expect(empty.code).toBe(1);
    expect(empty.said).toMatch(/is empty: nothing was ever written to it/);
  });
});

describe("D15: the store that is used where none is named", () => {
  it.each<[NodeJS.ProcessEnv, RegExp]>([
    [{ XDG_STATE_HOME: "/var/state" }, /^lmdb:\/var\/state\/weir$/],
    [{ XDG_STATE_HOME: "relative" }, /^lmdb:\/.*\/\.local\/state\/weir$/],
    [{}, /^lmdb:\/.*\/\.local\/state\/weir$/],
  ])("does not depend on the directory: %o", (env, place) => {
    expect(defaultStore(env)).toMatch(place);
  });

  it("a store where earlier versions kept it is named, not passed over", async () => {
    await fill(join(directory, "weir-data"));
    const { code, said } = await run(["serve"], {
      cwd: directory,
      env: { XDG_STATE_HOME: join(directory, "state") },
    });
    expect(code).toBe(2);
    expect(said).toMatch(/weir-data holds a store of an earlier version.*--store lmdb:.*mv /);
  });
});
