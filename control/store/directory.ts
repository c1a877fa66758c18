import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { StoreUnavailableError } from "./store.ts";

/** Layout of the files; a store of a newer layout is refused. */
const layout = 1;

// The first two pages of an LMDB file are its headers, written in turn (mdb.c,
// struct MDB_meta behind a page header of 24 bytes).
const magic = 0xbeefc0de;
const headerOffset = 24;
const pageSizeOffset = headerOffset + 24;
const lastPageOffset = headerOffset + 120;

/**
 * Takes a directory for this process: makes it if needed, checks what is in it
 * and keeps other processes out until release is called.
 * @throws StoreUnavailableError with what is wrong and where
 */
export function takeDirectory(path: string): { release: () => void } {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StoreUnavailableError(`cannot make the store's directory ${path}: ${reason(error)}`);
  }
  const lock = join(path, "owner");
  takeLock(lock, path);
  try {
    checkLayout(path);
    checkFile(join(path, "data.mdb"));
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
  return { release: () => rmSync(lock, { force: true }) };
}

/** Who holds the directory: the process and when it started, so that a reused number is told apart. */
function takeLock(lock: string, path: string): void {
  const self = identity(process.pid);
  if (existsSync(lock)) {
    const owner = readFileSync(lock, "utf8");
    const pid = Number(owner.split(" ", 1)[0]);
    if (owner !== self && pid > 0 && identity(pid) === owner)
      throw new StoreUnavailableError(`the store ${path} is in use by process ${pid}`);
  }
  try {
    rmSync(lock, { force: true });
    writeFileSync(lock, self, { flag: "wx" });
  } catch (error) {
    throw new StoreUnavailableError(`cannot take the store ${path}: ${reason(error)}`);
  }
}

function identity(pid: number): string {
  try {
    // Field 22 of proc(5) stat, counted behind the command's closing parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
    return `${pid} ${fields?.[19] ?? ""}`;
  } catch {
    // No such process, or no /proc here: then the number alone has to do.
    return existsSync("/proc/self") ? "" : `${pid}`;
  }
}

function checkLayout(path: string): void {
  const file = join(path, "layout");
  if (!existsSync(file)) {
    if (existsSync(join(path, "data.mdb")))
      throw new StoreUnavailableError(
        `the store ${path} has data but no layout file: it is not whole`,
      );
    writeFileSync(file, `${layout}\n`);
    return;
  }
  const found = Number(readFileSync(file, "utf8"));
  if (found !== layout)
    throw new StoreUnavailableError(
      `the store ${path} has layout ${found}; this version of weir reads layout ${layout}`,
    );
}

/** A file that is shorter than its headers say would end the process on a later read: it is refused here. */
function checkFile(file: string): void {
  if (!existsSync(file)) return;
  const descriptor = openSync(file, "r");
  try {
    const size = fstatSync(descriptor).size;
    const header = Buffer.alloc(256);
    const pages = [0, 4096].map((at) =>
      readSync(descriptor, header, 0, 256, at) === 256 ? wantedSize(header) : 0,
    );
    const wanted = Math.max(...pages);
    if (wanted === 0 || size < wanted)
      throw new StoreUnavailableError(
        `the store file ${file} is damaged or cut off (${size} bytes): restore it from a backup`,
      );
  } finally {
    closeSync(descriptor);
  }
}

function wantedSize(header: Buffer): number {
  if (header.readUInt32LE(headerOffset) !== magic) return 0;
  return (Number(header.readBigUInt64LE(lastPageOffset)) + 1) * header.readUInt32LE(pageSizeOffset);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
