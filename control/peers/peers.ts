import { lookup } from "node:dns/promises";
import type { Transport } from "@connectrpc/connect";
import type { PeerEndpoint } from "../gen/weir/v1/peer_pb.ts";
import type { ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { RolloutProgress } from "../gen/weir/v1/rollout_pb.ts";
import type { Proxy } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import { errorText } from "../text/error-text.ts";
import { follow } from "./follow.ts";
import { createGranted, type Grants } from "./granted.ts";
import { createPeer, type Peer } from "./peer.ts";
import type { ProxyView } from "./proxy-view.ts";

/** Where other replicas are: a host may stand for several addresses, this replica's own among them. */
export interface PeerAddress {
  host: string;
  port: number;
}

export interface PeersOptions {
  /** Name of this replica. */
  self: string;
  addresses: readonly PeerAddress[];
  /** How one address, an IP, is called. */
  transport(address: PeerAddress): Transport;
  log(line: string, code?: string): void;
}

/** The proxies of the other replicas. */
export interface Peers {
  /** Those that are connected to other replicas, and replicas of which nothing is known. */
  proxyViews(): ProxyView[];
  proxies(): Proxy[];
  /** Whether a proxy is connected to another replica that answers. */
  has(node: string): boolean;
  /** Milliseconds since another replica's proxies reported; endless before the first report. */
  silentMs(): number;
  /** Names of the other replicas that answer. */
  names(): string[];
  /** Shares of a proxy of this replica that other replicas decided on lately. */
  granted(node: string): Grants;
  /** Last progress of a rollout that the leader sent. */
  rollout(name: string, leader: string | undefined): RolloutProgress | undefined;
  /** Calls the listener when another replica sends progress of a rollout. */
  onRollout(listener: (name: string) => void): () => void;
  /** Calls back with every report that reached another replica. */
  onReport(listener: (report: ReportRequest) => void): () => void;
  /** Calls back with pods that registered at another replica, and whether it knows all of them. */
  onPods(listener: (pods: readonly PeerEndpoint[], replica: string, all: boolean) => void): void;
  /** Calls back when another replica is not heard any more. */
  onLost(listener: (replica: string) => void): void;
  /** Calls back after something changed. */
  onChange(listener: () => void): () => void;
  close(): void;
}

/** Names are looked up again this often: replicas come and go. */
const lookupMs = 5_000;

/** An address that is followed. */
interface Followed {
  stop: AbortController;
  /** Undefined for an address of this replica, or another one of a replica that is followed. */
  peer: Peer | undefined;
  /** Name of that replica. */
  sameAs?: string;
}

/**
 * Follows the other replicas of the control service until it is closed; those that cannot be
 * reached are asked again and again.
 */
export function createPeers(options: PeersOptions): Peers {
  const { self, addresses, transport, log } = options;
  const followed = new Map<string, Followed>();
  const listeners = new Set<() => void>();
  const rolloutListeners = new Set<(name: string) => void>();
  const reportListeners = new Set<(report: ReportRequest) => void>();
  const podListeners: Parameters<Peers["onPods"]>[0][] = [];
  const lostListeners: Parameters<Peers["onLost"]>[0][] = [];
  const nowMs = () => performance.now();
  const peers = () => [...followed.values()].flatMap(({ peer }) => peer ?? []);
  const answering = () => peers().filter((peer) => peer.answers());
  const granted = createGranted(nowMs);
  let lastUpdateMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function changed(): void {
    for (const listener of listeners) listener();
  }

  function start(key: string, address: PeerAddress): void {
    const peer = createPeer(key, nowMs());
    const entry: Followed = { stop: new AbortController(), peer };
    followed.set(key, entry);
    void follow({
      transport: transport(address),
      signal: entry.stop.signal,
      take(update) {
        const known = answering().some((each) => each !== peer && each.name() === update.replica);
        if (known || update.replica === self) {
          entry.peer = undefined;
          entry.sameAs = update.replica;
          return false;
        }
        if (!peer.answers()) log(`connected to replica ${update.replica} at ${key}`);
        peer.take(update);
        if (update.reports.length > 0) lastUpdateMs = nowMs();
        for (const report of update.reports)
          for (const listener of reportListeners) listener(report);
        for (const listener of podListeners)
          listener(update.endpoints, update.replica, update.endpointsKnown);
        for (const each of update.rollouts)
          for (const listener of rolloutListeners) listener(routeName(each.state?.rollout));
        for (const { node, leases, loads } of update.grants)
          granted.take(node, update.replica, { leases, loads });
        if (update.proxies.length + update.gone.length + update.editions.length > 0) changed();
        return true;
      },
      lost(why) {
        if (peer.answers()) {
          log(`lost replica ${peer.name()} at ${key}: ${why}`, "peer-lost");
          for (const listener of lostListeners) listener(peer.name());
        }
        peer.lost(nowMs());
        changed();
      },
    });
  }

  function isNeeded({ peer, sameAs }: Followed): boolean {
    if (peer) return peer.answers() || peer.proxyViews(nowMs()).length > 0;
    return sameAs === self || answering().some((each) => each.name() === sameAs);
  }

  async function look(): Promise<void> {
    const found = (await Promise.all(addresses.map(addressesOf))).flat();
    if (closed) return;
    const wanted = new Map(found.map((each) => [`${each.host}:${each.port}`, each]));
    for (const [key, entry] of followed) {
      if (isNeeded(entry) || (entry.peer && wanted.has(key))) continue;
      entry.stop.abort();
      followed.delete(key);
    }
    for (const [key, address] of wanted) if (!followed.has(key)) start(key, address);
    timer = setTimeout(look, lookupMs);
  }

  async function addressesOf({ host, port }: PeerAddress): Promise<PeerAddress[]> {
    try {
      return (await lookup(host, { all: true })).map(({ address }) => ({ host: address, port }));
    } catch (error) {
      log(`cannot resolve the peer address ${host}: ${errorText(error)}`, "peer-lost");
      return [];
    }
  }

  if (addresses.length > 0) void look();
  return {
    proxyViews: () => peers().flatMap((peer) => peer.proxyViews(nowMs())),
    proxies: () => answering().flatMap((peer) => peer.proxies()),
    has: (node) => answering().some((peer) => peer.has(node)),
    silentMs: () => nowMs() - lastUpdateMs,
    names: () => answering().map((peer) => peer.name()),
    granted: granted.of,
    rollout: (name, leader) =>
      answering()
        .find((peer) => peer.name() === leader)
        ?.rollout(name),
    onRollout(listener) {
      rolloutListeners.add(listener);
      return () => rolloutListeners.delete(listener);
    },
    onReport(listener) {
      reportListeners.add(listener);
      return () => reportListeners.delete(listener);
    },
    onPods: (listener) => void podListeners.push(listener),
    onLost: (listener) => void lostListeners.push(listener),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      clearTimeout(timer);
      for (const { stop } of followed.values()) stop.abort();
    },
  };
}
