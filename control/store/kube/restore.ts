import type { Contents } from "../contents.ts";
import { StoreUnavailableError } from "../store.ts";
import type { Settling } from "./settle.ts";
import { writeState } from "./write-state.ts";

/**
 * Adds all entries of another store to an empty log, numbers as they were. The
 * API server is asked for its opinion of every route first, so that a backup it
 * would refuse leaves nothing behind.
 * @param restored called with each route that the log then knows, to bring it into its object
 * @throws StoreUnavailableError when something has been written here, or was meanwhile;
 *   KubeError
 */
export async function restoreContents(
  { client, log }: Settling,
  { entries, routes }: Contents,
  restored: (name: string) => Promise<void>,
): Promise<void> {
  const made = new Set(entries.flatMap(({ after, name }) => (after ? [name] : [])));
  for (const [name, state] of routes) {
    if (!made.has(name))
      throw new StoreUnavailableError(`the backup has no audit entry that created ${name}`);
    if (log.newest() === 0n) await writeState(client, name, state, undefined, true);
  }
  await log.inTurn(async () => {
    if (log.newest() > 0n)
      throw new StoreUnavailableError("the store is not empty: restore into an empty store");
    for (const entry of entries)
      if (!(await log.append({ entry })))
        throw new StoreUnavailableError(
          `someone else wrote change ${entry.sequence} in the meantime: delete the routechanges and start again`,
        );
  });
  await Promise.all(log.names().map(restored));
}
