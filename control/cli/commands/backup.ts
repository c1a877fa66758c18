import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { Store } from "../../store/index.ts";
import { errorText } from "../../text/error-text.ts";
import { FailedError, UsageError } from "../exit.ts";
import { print } from "../output.ts";

const storeFlag = [
  "--store <store>",
  "lmdb:DIRECTORY, etcd://HOST:PORT[,HOST:PORT] or kube[:NAMESPACE]",
] as const;

/** Stores are loaded by who needs one: every command would wait for them. */
const stores = () => import("../../store/index.ts");

async function withStore<T>(
  address: string,
  make: boolean,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const { openStore } = await stores();
  const store = openStore(address, { make });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

export function addExport(program: Command): void {
  program
    .command("export")
    .summary("print a backup of a store")
    .description(
      "Prints everything in a store, its audit included, as lines of JSON with a checksum at the end.",
    )
    .requiredOption(...storeFlag)
    .addHelpText("after", "\nExample:\n  weir export --store lmdb:/var/lib/weir > weir.backup")
    .action(({ store }: { store: string }) =>
      withStore(store, false, async (from) => {
        const { readContents, writeBackup } = await stores();
        const contents = await readContents(from);
        if (contents.sequence === 0n)
          throw new FailedError(
            `the store ${store} is empty: nothing was ever written to it, so there is nothing to back up; check its address`,
          );
        process.stdout.write(writeBackup(contents));
      }),
    );
}

export function addImport(program: Command): void {
  program
    .command("import")
    .argument("<file>", 'backup, as "weir export" printed it')
    .summary("restore a backup into an empty store")
    .description(
      "Shows what a backup contains and whether the store can take it; --yes restores it with its etags and audit. Also moves data from one kind of store to another.",
    )
    .requiredOption(...storeFlag)
    .option("--yes", "restore the backup; without --yes nothing is changed")
    .addHelpText(
      "after",
      "\nExample:\n  weir import weir.backup --store etcd://10.0.0.1:2379/weir --yes",
    )
    .action((file: string, { store, yes }: { store: string; yes?: boolean }) =>
      withStore(store, true, async (into) => {
        const { readBackup } = await stores();
        const contents = readBackup(readText(file));
        if (contents.sequence === 0n) throw new FailedError(`the backup ${file} is empty`);
        const { routes, rollouts, entries, sequence } = contents;
        const what = `${routes.size} routes, ${rollouts.size} rollouts, ${entries.length} changes up to number ${sequence}`;
        const present = (await into.list()).sequence;
        if (present > 0n)
          throw new FailedError(
            `the store ${store} is not empty: it holds changes up to number ${present}; give an empty one`,
          );
        if (into.restore === undefined)
          throw new FailedError(
            `the store ${store} cannot restore backups; apply the routes instead`,
          );
        if (!yes) {
          print(`would restore ${what}; nothing was changed: give --yes to do it`);
          return;
        }
        await into.restore(contents);
        print(`restored ${what}`);
      }),
    );
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${errorText(error)}`);
  }
}
