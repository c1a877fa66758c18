import type { PeerEndpoint } from "../gen/weir/v1/peer_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { AddressCheck } from "./address.ts";
import { type Counts, createCounts } from "./counts.ts";
import { type Entry, fromPeer, isSamePod, merged, toPeer } from "./entry.ts";
import { createOutboxes, type PodOutbox } from "./outbox.ts";
import { createPlaces, keyOf } from "./places.ts";
import { createRecovery } from "./recovery.ts";
import { refused } from "./refusal.ts";
import { type Asked, readAsked } from "./request.ts";
import { createRoom } from "./room.ts";
import { runBefore } from "./run-before.ts";

/** A pod that takes requests. */
interface ReadyPod {
  address: string;
  /** Its share of the variant's requests, relative to those of others. */
  capacity: number;
}

/** The pods that registered themselves, as this replica knows them. */
export interface Registry {
  /** The routes as they are stored now; pods that they have no place for are dropped. */
  follow(routes: readonly RouteState[]): void;
  /** Names of these routes. */
  routes(): Iterable<string>;
  /** Registers a pod or renews its lease. @throws RefusedError */
  register(route: string, variant: string, asked: Asked, principal: string): Entry;
  /** Sends a pod no new requests. @throws RefusedError */
  drain(pod: PodName, caller: Caller): { pod: Entry; waitMs: number };
  /** Removes a pod. It does nothing where there is none. @throws RefusedError */
  deregister(pod: PodName, caller: Caller): void;
  /** Pods of a route that are there, by variant and address. */
  list(route: string): Entry[];
  /** Pods of a variant that take requests; undefined while they are not known yet. */
  ready(route: string, variant: string): ReadyPod[] | undefined;
  /** Ends leases whose time is over; it must be called every {@link sweepMs}. */
  sweep(): void;
  /** What other replicas are told: everything at first, then what happens here. */
  open(): PodOutbox;
  /** Whether all pods are known. */
  isComplete(): boolean;
  /** Takes what another replica tells. */
  take(told: readonly PeerEndpoint[], replica: string, isComplete: boolean): void;
  /** Another replica is not heard any more: pods that renew their leases there have time to come here. */
  lost(replica: string): void;
  /** Calls back when the pods that proxies should have may have changed. */
  onChange(listener: () => void): void;
  counts: Counts;
}

/** Who drains or removes a pod. */
export interface Caller {
  name: string;
  /** May also change pods of others. */
  isAdmin: boolean;
}

/** Names a pod; without an instance, whichever is at the address. */
export interface PodName {
  route: string;
  address: string;
  instance: string;
}

/** Leases are looked at this often. */
export const sweepMs = 250;
/** A replica that stood still for longer than this gives its pods the time back. */
const stoodStillMs = 1_000;
/** Pods of a replica that was lost go on for this long. */
const lostMs = 60_000;
/** What has left is remembered this long, so that no older news of it counts. */
const leftMs = 10_000;
/** Lost replicas that are remembered: one that is restarted has another name. */
const maxUnheard = 64;
/** Earlier runs that are remembered of an address. */
const maxEarlier = 8;

export interface RegistryOptions {
  checkAddress: AddressCheck;
  monotonicMs(): number;
  /** Is told of pods that join, drain, leave, and whose lease ends. */
  log(line: string, code: string): void;
}

/** Keeps the pods that registered themselves, in memory: a pod that is alive tells again. */
export function createRegistry({ checkAddress, monotonicMs, log }: RegistryOptions): Registry {
  const entries = new Map<string, Entry>();
  const places = createPlaces();
  const recovery = createRecovery(monotonicMs);
  const outboxes = createOutboxes();
  const room = createRoom(entries, monotonicMs);
  const counts = createCounts(() => [...entries.values()]);
  const listeners: (() => void)[] = [];
  /** The routes are known. */
  let begun = false;
  /** Another replica told of all pods. */
  let wasTold = false;
  let sweptMs = monotonicMs();
  /** Replicas that are not heard now. */
  const unheard = new Set<string>();

  /** Pods that take requests, by variant; made again after a change. */
  let readyByKey: Map<string, ReadyPod[]> | undefined;

  const changed = () => {
    readyByKey = undefined;
    for (const listener of listeners) listener();
  };
  const named = ({ address, route, variant }: Entry) =>
    `${address} of ${route}, variant ${variant}`;

  /** Stores what happened here, and tells the other replicas. */
  function put(entry: Entry): void {
    entries.set(entry.address, entry);
    outboxes.tell(entry);
  }

  function drop(entry: Entry): void {
    entries.delete(entry.address);
    room.drop(entry);
  }

  function allReady(): Map<string, ReadyPod[]> {
    const all = new Map<string, ReadyPod[]>();
    for (const { route, variant, address, capacity, state } of entries.values()) {
      if (state !== "ready") continue;
      const key = keyOf(route, variant);
      const pods = all.get(key) ?? [];
      pods.push({ address, capacity });
      all.set(key, pods);
    }
    for (const pods of all.values()) pods.sort((a, b) => (a.address < b.address ? -1 : 1));
    return all;
  }

  function found({ route, address, instance }: PodName): Entry | undefined {
    const entry = entries.get(address);
    const isIt =
      entry?.route === route &&
      (instance === "" || entry.instance === instance) &&
      entry.state !== "left";
    return isIt ? entry : undefined;
  }

  function own(entry: Entry, { name, isAdmin }: Caller): void {
    if (isAdmin || entry.principal === name) return;
    throw refused(
      "address-taken",
      "conflict",
      "address",
      `address ${entry.address} was registered by another caller`,
    );
  }

  return {
    follow(routes) {
      places.follow(routes);
      if (!begun && !wasTold) recovery.begin(places.open());
      begun = true;
      let dropped = false;
      for (const entry of [...entries.values()])
        if (!places.keeps(entry.route, entry.variant, entry.address)) {
          drop(entry);
          dropped = true;
        }
      if (dropped) changed();
    },
    routes: places.routes,
    register(route, variant, asked, principal) {
      const pod = readAsked(asked, checkAddress);
      places.check(route, variant, pod.address);
      const nowMs = monotonicMs();
      const next = { route, variant, principal, ...pod };
      const last = runBefore(entries.get(pod.address), next);
      const isRenewal = last?.instance === pod.instance && isSamePod(last, next);
      if (!isRenewal) room.take(next, last);
      const entry: Entry = {
        ...next,
        state: isRenewal ? last.state : "ready",
        earlier: isRenewal
          ? last.earlier
          : last && isSamePod(last, next)
            ? [...last.earlier, last.instance].slice(-maxEarlier)
            : [],
        joinedAtMs: isRenewal ? last.joinedAtMs : nowMs,
        renewedAtMs: nowMs,
        endsAtMs: nowMs + pod.leaseMs,
      };
      put(entry);
      recovery.renewed(keyOf(route, variant), pod.leaseMs);
      counts.event(isRenewal ? "renew" : "join");
      if (!isRenewal) log(`${named(entry)} registered by ${principal}`, "pod-joined");
      if (!isRenewal || last.capacity !== entry.capacity) changed();
      return entry;
    },
    drain(name, caller) {
      const entry = found(name);
      if (entry === undefined)
        throw refused(
          "pod-unknown",
          "unknown",
          "address",
          `no such pod is registered at ${name.address} for route ${name.route}`,
        );
      own(entry, caller);
      const waitMs = recovery.waitMs(keyOf(entry.route, entry.variant));
      if (entry.state === "draining") return { pod: entry, waitMs };
      const draining: Entry = { ...entry, state: "draining" };
      put(draining);
      counts.event("drain");
      log(`${named(entry)} drains, as ${caller.name} says`, "pod-drains");
      changed();
      return { pod: draining, waitMs };
    },
    deregister(name, caller) {
      const entry = found(name);
      if (entry === undefined) return;
      own(entry, caller);
      put({ ...entry, state: "left", endsAtMs: monotonicMs() + leftMs });
      counts.event("leave");
      log(`${named(entry)} left, as ${caller.name} says`, "pod-left");
      changed();
    },
    list: (route) =>
      [...entries.values()]
        .filter((entry) => entry.route === route && entry.state !== "left")
        .sort((a, b) => (keyOf(a.variant, a.address) < keyOf(b.variant, b.address) ? -1 : 1)),
    ready(route, variant) {
      const key = keyOf(route, variant);
      if (!recovery.knows(key)) return undefined;
      readyByKey ??= allReady();
      return readyByKey.get(key) ?? [];
    },
    sweep() {
      const nowMs = monotonicMs();
      const lateMs = nowMs - sweptMs - sweepMs;
      sweptMs = nowMs;
      // Renewals may wait behind this turn: nobody is late for a replica that stood still.
      if (lateMs > stoodStillMs) for (const entry of entries.values()) entry.endsAtMs += lateMs;
      let ended = recovery.sweep();
      for (const entry of [...entries.values()]) {
        if (entry.endsAtMs > nowMs) continue;
        drop(entry);
        if (entry.state === "left") continue;
        ended = true;
        counts.event("expire");
        log(`the lease of ${named(entry)} ended without a renewal`, "pod-expired");
      }
      if (ended) changed();
    },
    open: () => outboxes.open([...entries.values()], (entry) => toPeer(entry, monotonicMs())),
    isComplete: () => begun && recovery.isOver(),
    take(told, replica, isComplete) {
      const nowMs = monotonicMs();
      // It tells all that it has: what left there in the meantime needs no more than a lease.
      if (unheard.delete(replica))
        for (const entry of entries.values())
          if (entry.via === replica)
            entry.endsAtMs = Math.min(entry.endsAtMs, nowMs + entry.leaseMs);
      let differs = isComplete && !recovery.isOver();
      for (const each of told) {
        const theirs = fromPeer(each, replica, nowMs);
        const mine = entries.get(theirs.address);
        const entry = mine ? merged(mine, theirs) : theirs;
        if (entry === mine || entry.endsAtMs <= nowMs) continue;
        if (entry.state === "left") entry.endsAtMs = nowMs + leftMs;
        differs ||=
          mine?.state !== entry.state ||
          mine.capacity !== entry.capacity ||
          !isSamePod(mine, entry);
        if (mine) room.drop(mine);
        room.add(entry);
        entries.set(entry.address, entry);
        recovery.renewed(keyOf(entry.route, entry.variant), entry.leaseMs);
      }
      if (isComplete) recovery.end();
      wasTold ||= isComplete;
      if (differs) changed();
    },
    lost(replica) {
      unheard.add(replica);
      for (const oldest of unheard) if (unheard.size > maxUnheard) unheard.delete(oldest);
      const untilMs = monotonicMs() + lostMs;
      for (const entry of entries.values())
        if (entry.via === replica) entry.endsAtMs = Math.max(entry.endsAtMs, untilMs);
    },
    onChange: (listener) => void listeners.push(listener),
    counts,
  };
}
