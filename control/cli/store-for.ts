import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { defaultStore } from "../store/default.ts";
import { UsageError } from "./exit.ts";

/** Where earlier versions kept the store by default: below the directory they were started in. */
const earlier = "weir-data";

/**
 * The store that a flag names, or the default one, which does not depend on where the
 * process was started. @throws UsageError when there is a store of an earlier version here
 */
export function storeFor(flag: string | undefined, log: (line: string) => void): string {
  if (flag !== undefined) return flag;
  const store = defaultStore();
  const here = resolve(earlier);
  const directory = store.slice("lmdb:".length);
  if (existsSync(resolve(here, "layout")) && !existsSync(resolve(directory, "layout")))
    throw new UsageError(
      `${here} holds a store of an earlier version, which kept it in its working directory: name it with --store lmdb:${here}, or move it to the default location (mkdir -p ${resolve(directory, "..")} && mv ${here} ${directory})`,
    );
  log(`the store is ${store}`);
  return store;
}
