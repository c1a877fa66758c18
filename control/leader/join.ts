import type { Leader } from "./leader.ts";
import { openLeader } from "./open.ts";

/**
 * Makes this process a replica among those of the same store.
 * @param name of this replica, which no other one ever has
 */
export function joinReplicas(store: string, name: string, log: (line: string) => void): Leader {
  const leader = openLeader(store, name);
  leader.onChange(() =>
    log(
      leader.current()
        ? `replica ${name} is now the leader`
        : `replica ${name} is no longer the leader`,
    ),
  );
  return leader;
}
