import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../../text/error-text.ts";
import { StoreUnavailableError } from "../store.ts";

const file = "owner";

/**
 * Takes a directory for this process; its record says who holds it: the process,
 * when it started, the boot of the machine and the directory itself, so that
 * neither a number that was used again nor a copy of the store counts as in use.
 * @returns what gives it back
 * @throws StoreUnavailableError when another process holds it or it cannot be written
 */
export function takeOwnership(path: string): () => void {
  const record = join(path, file);
  let own: string;
  try {
    const found = existsSync(record) ? readFileSync(record, "utf8").slice(0, 500) : "";
    const holder = holderOf(found, path);
    if (holder !== undefined)
      throw new StoreUnavailableError(`the store ${path} is in use by process ${holder}`);
    own = `${identity(process.pid)} ${bootId()} ${placeOf(path)}`;
    rmSync(record, { force: true });
    writeFileSync(record, own, { flag: "wx" });
  } catch (error) {
    if (error instanceof StoreUnavailableError) throw error;
    throw new StoreUnavailableError(`cannot take the store ${path}: ${errorText(error)}`);
  }
  return () => rmSync(record, { force: true });
}

/** The process that holds the directory by its record; undefined when none does. */
function holderOf(record: string, path: string): number | undefined {
  const [number = "", start = "", boot, place] = record.trim().split(" ");
  const pid = Number(number);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (pid === process.pid && place === undefined) return undefined;
  // Records of earlier versions end after the start.
  if (boot !== undefined && boot !== bootId()) return undefined;
  if (place !== undefined && place !== placeOf(path)) return undefined;
  return identity(pid) === `${pid} ${start}` ? pid : undefined;
}

/** A process and when it started. */
function identity(pid: number): string {
  try {
    // Field 22 of proc(5) stat, counted behind the command's closing parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ");
    return `${pid} ${fields?.[19] ?? "-"}`;
  } catch {
    // No such process, or no /proc here: then the number alone has to do.
    if (existsSync("/proc/self")) return "";
    return isAlive(pid) ? `${pid} -` : "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Starts are counted from the boot: after another one they say nothing. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "-";
  }
}

function placeOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}
