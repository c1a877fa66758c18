import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { createGate } from "../../auth/index.ts";
import { createOwnership, joinReplicas, type Leader } from "../../leader/index.ts";
import {
  createPeers,
  createRelay,
  type Peers,
  peerTransport,
  type Relay,
} from "../../peers/index.ts";
import type { ServerOptions } from "./options.ts";

/** This replica among those of the same store. */
export interface Replicas {
  /** Name of this one, which no other one ever has. */
  name: string;
  leader: Leader;
  /** The others, as far as they are followed. */
  peers: Peers;
  /** Hands to those that follow this one what they cannot know by themselves. */
  relay: Relay;
  /** Whether this replica is the one that keeps the books for a key. */
  owns(key: string): boolean;
  /** Follows the others no more, and gives the lead away. */
  close(): Promise<void>;
}

/** Makes this process a replica: it asks for the lead, and follows the others. */
export function openReplicas(
  { store, peers: addresses = [], log }: ServerOptions,
  { peerToken: token, tls }: Pick<ReturnType<typeof createGate>, "peerToken" | "tls">,
): Replicas {
  const name = `${hostname()}-${randomBytes(4).toString("hex")}`;
  const peers = createPeers({
    self: name,
    addresses,
    transport: (address) =>
      peerTransport(address, { ...(token ? { token } : {}), ...(tls ? { tls } : {}) }),
    log,
  });
  const leader = joinReplicas(store, name, log);
  return {
    name,
    leader,
    peers,
    relay: createRelay(),
    owns: createOwnership(name, peers.names),
    async close() {
      peers.close();
      await leader.close();
    },
  };
}
