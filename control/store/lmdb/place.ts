import { mkdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errorText } from "../../text/error-text.ts";
import { StoreUnavailableError } from "../store.ts";

/** The files of a store, all of them plain ones. */
const files = ["owner", "layout", "data.mdb", "lock.mdb"];

/**
 * Makes the store's directory if needed and checks that all in it are plain files:
 * a FIFO or a device in the place of one would block the process for ever.
 * @param make false: a directory that is not there is refused
 * @throws StoreUnavailableError
 */
export function preparePlace(path: string, make: boolean): void {
  try {
    if (make) makeDirectory(resolve(path));
    if (!statSync(path).isDirectory()) throw new Error("it is not a directory");
  } catch (error) {
    throw new StoreUnavailableError(
      `cannot ${make ? "make" : "read"} the store's directory ${path}: ${errorText(error)}`,
    );
  }
  for (const name of files) checkPlain(join(path, name));
}

/** One level at a time: where /proc is, Node's recursive mkdir never ends. */
function makeDirectory(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  if (found !== undefined) throw new Error(`${path} is not a directory`);
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have made it meanwhile; a link that leads nowhere is there as well.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

function checkPlain(file: string): void {
  let found: ReturnType<typeof statSync>;
  try {
    found = statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw new StoreUnavailableError(`cannot read the store's file ${file}: ${errorText(error)}`);
  }
  if (found !== undefined && !found.isFile())
    throw new StoreUnavailableError(`the store's file ${file} is not a plain file`);
}
