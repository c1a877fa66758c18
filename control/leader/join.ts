import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Leader } from "./leader.ts";
import { openLeader } from "./open.ts";

/** Makes this process a replica among those of the same store, under a name that no other one ever has. */
export function joinReplicas(store: string, log: (line: string) => void): Leader {
  const name = `${hostname()}-${randomBytes(4).toString("hex")}`;
  const leader = openLeader(store, name);
  leader.onChange(() =>
    log(leader.current() ? `${name} leads: it walks the rollouts` : `${name} leads no more`),
  );
  return leader;
}
