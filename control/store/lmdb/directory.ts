import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../../text/error-text.ts";
import { StoreUnavailableError } from "../store.ts";
import { takeOwnership } from "./owner.ts";
import { preparePlace } from "./place.ts";
import { verifyFile } from "./verify.ts";

/** Layout of the files; a store of a newer layout is refused. */
const layout = 1;
/** In the layout's file until the data's file is there: whatever lies beside it was never written to. */
const making = "making";

/** A directory that this process holds. */
export interface Directory {
  /** Notes that the data's file is there: from then on a directory without it is not whole. */
  made(): void;
  /** Gives the directory back. */
  release(): void;
}

/**
 * Takes a directory for this process: makes it if needed, checks everything in it
 * and keeps other processes out until release is called.
 * @param make false: a store that is not there is refused
 * @throws StoreUnavailableError with what is wrong and where
 */
export function takeDirectory(path: string, make: boolean): Directory {
  preparePlace(path, make);
  const release = takeOwnership(path);
  try {
    const isNew = checkLayout(path, make);
    const data = join(path, "data.mdb");
    if (!isNew && existsSync(data)) verifyFile(data);
    return {
      made() {
        if (isNew) writeLayout(path, `${layout}`);
      },
      release,
    };
  } catch (error) {
    release();
    if (error instanceof StoreUnavailableError) throw error;
    throw new StoreUnavailableError(`cannot read the store ${path}: ${errorText(error)}`);
  }
}

/** @returns whether the store is still to be made */
function checkLayout(path: string, make: boolean): boolean {
  const file = join(path, "layout");
  const data = join(path, "data.mdb");
  const found = existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
  if (found === undefined || found === making) {
    if (found === undefined && existsSync(data))
      throw new StoreUnavailableError(
        `the store ${path} has data but no layout file: it is incomplete, restore it from a backup`,
      );
    if (!make) throw new StoreUnavailableError(`there is no store in ${path}`);
    // A start that was killed may have left a part of them; nothing was stored in it.
    for (const part of [data, join(path, "lock.mdb")]) rmSync(part, { force: true });
    writeLayout(path, making);
    return true;
  }
  if (Number(found) !== layout)
    throw new StoreUnavailableError(
      `the store ${path} has layout ${found.slice(0, 20)}; this version of weir reads layout ${layout}`,
    );
  if (!existsSync(data))
    throw new StoreUnavailableError(
      `the store ${path} is not whole: it has a layout file but its data.mdb is gone; bring that back, or restore a backup into another directory (weir import)`,
    );
  return false;
}

/** In one piece, whenever the process is killed. */
function writeLayout(path: string, text: string): void {
  const next = join(path, "layout.next");
  writeFileSync(next, `${text}\n`);
  renameSync(next, join(path, "layout"));
}
