import { create } from "@bufbuild/protobuf";
import { type PeerEndpoint, PeerEndpointSchema } from "../gen/weir/v1/peer_pb.ts";

/** What a pod does. A run of a pod only goes on from one to the next. */
const states = ["ready", "draining", "left"] as const;

/** What a pod does: of {@link states}. */
export type PodState = (typeof states)[number];

/** A pod that registered, as it is kept. Times are of this machine's monotonic clock. */
export interface Entry {
  route: string;
  variant: string;
  address: string;
  instance: string;
  /** Runs that were registered at the address before, the newest last. */
  earlier: readonly string[];
  capacity: number;
  principal: string;
  state: PodState;
  leaseMs: number;
  renewedAtMs: number;
  joinedAtMs: number;
  /** The lease ends then. */
  endsAtMs: number;
  /** Replica that renewed it last; absent: this one. */
  via?: string;
}

/** Joins at two replicas within this time count as one moment. */
const momentMs = 1_000;

/**
 * What is known of an address from what two replicas know of it; the same whichever of them
 * decides. Of one run the later state and the newer renewal count. Of two runs, the newer counts
 * where one pod was started again, else the older: it was there first.
 */
export function merged(mine: Entry, theirs: Entry): Entry {
  if (mine.instance === theirs.instance) {
    const newer = theirs.renewedAtMs > mine.renewedAtMs ? theirs : mine;
    const state = states[Math.max(states.indexOf(mine.state), states.indexOf(theirs.state))];
    return { ...newer, state: state ?? "left" };
  }
  if (theirs.earlier.includes(mine.instance)) return theirs;
  if (mine.earlier.includes(theirs.instance)) return mine;
  if (mine.state === "left" || theirs.state === "left")
    return mine.state === "left" ? theirs : mine;
  const [older, newer] = inOrder(mine, theirs);
  return isSamePod(mine, theirs) ? newer : older;
}

/** Whether a pod may take the place of another one: it is the same one, started again. */
export function isSamePod(
  a: Pick<Entry, "principal" | "route" | "variant">,
  b: Pick<Entry, "principal" | "route" | "variant">,
): boolean {
  return a.principal === b.principal && a.route === b.route && a.variant === b.variant;
}

function inOrder(a: Entry, b: Entry): [older: Entry, newer: Entry] {
  const byTime = a.joinedAtMs - b.joinedAtMs;
  const first = Math.abs(byTime) > momentMs ? byTime < 0 : a.instance < b.instance;
  return first ? [a, b] : [b, a];
}

/** An entry as another replica is told of it. */
export function toPeer(entry: Entry, nowMs: number): PeerEndpoint {
  return create(PeerEndpointSchema, {
    route: entry.route,
    variant: entry.variant,
    address: entry.address,
    instance: entry.instance,
    earlier: [...entry.earlier],
    capacity: entry.capacity,
    principal: entry.principal,
    state: states.indexOf(entry.state),
    leaseMs: entry.leaseMs,
    renewedAgoMs: Math.max(0, Math.round(nowMs - entry.renewedAtMs)),
    joinedAgoMs: Math.max(0, Math.round(nowMs - entry.joinedAtMs)),
  });
}

/** What another replica told of. */
export function fromPeer(told: PeerEndpoint, via: string, nowMs: number): Entry {
  const { leaseMs } = told;
  const renewedAtMs = nowMs - told.renewedAgoMs;
  return {
    route: told.route,
    variant: told.variant,
    address: told.address,
    instance: told.instance,
    earlier: told.earlier,
    capacity: told.capacity,
    principal: told.principal,
    state: states[told.state] ?? "left",
    leaseMs,
    renewedAtMs,
    joinedAtMs: nowMs - told.joinedAgoMs,
    endsAtMs: renewedAtMs + leaseMs,
    via,
  };
}
