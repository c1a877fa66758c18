import { statfsSync } from "node:fs";
import { StoreUnavailableError } from "../store.ts";

/** Kept free for what a commit writes: a disk that fills up in its midst harms more than that write. */
const spareBytes = 4 * 1024 * 1024;

/** @throws StoreUnavailableError when the disk of a path has hardly any room left */
export function checkRoom(path: string): void {
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  if (free >= spareBytes) return;
  throw new StoreUnavailableError(
    `the store ${path} accepts no writes: no space left on its disk (${free} bytes are free, ${spareBytes} must stay free)`,
  );
}
