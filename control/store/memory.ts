import type { RolloutState } from "../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../gen/weir/v1/service_pb.ts";
import { createBroadcast } from "./broadcast.ts";
import { eventName, eventOf, rolloutEventName, rolloutEventOf } from "./change.ts";
import { type Store, StoreUnavailableError } from "./store.ts";
import { createWrites, type Write } from "./writes.ts";

/** A store that forgets everything when the process ends: for tests and for trying things out. */
export function createMemoryStore(now: () => Date = () => new Date()): Store {
  const routes = new Map<string, RouteState>();
  const rollouts = new Map<string, RolloutState>();
  const log: AuditEntry[] = [];
  let fence = 0n;
  const routeEvents = createBroadcast({ nameOf: eventName });
  const rolloutEvents = createBroadcast({ nameOf: rolloutEventName });
  const next = () => BigInt(log.length + 1);

  const write: Write = (name, make) => {
    const change = make(stored(name), next());
    if (change.state) routes.set(name, change.state);
    if (change.deleted) routes.delete(name);
    if (change.rollout) rollouts.set(name, change.rollout);
    fence = change.fence ?? fence;
    log.push(change.entry);
    const event = eventOf(change.entry);
    if (event) routeEvents.send(event);
    const rolloutEvent = rolloutEventOf(change.entry);
    if (rolloutEvent) rolloutEvents.send(rolloutEvent);
    return change;
  };

  const stored = (name: string) => ({
    route: routes.get(name),
    rollout: rollouts.get(name),
    fence,
  });

  return {
    async get(name) {
      return routes.get(name);
    },
    async list() {
      return { routes: sorted(routes), sequence: BigInt(log.length) };
    },
    ...createWrites(write, now),
    async getRollout(name) {
      return rollouts.get(name);
    },
    async listRollouts() {
      return sorted(rollouts);
    },
    async audit(name, limit) {
      const entries = name === "" ? log : log.filter((entry) => entry.name === name);
      return entries.slice(-limit).reverse();
    },
    watch(after, signal) {
      const backlog = log.slice(Number(after)).flatMap((entry) => eventOf(entry) ?? []);
      return routeEvents.watch(backlog, signal);
    },
    watchRollouts(after, signal) {
      const backlog = log.slice(Number(after)).flatMap((entry) => rolloutEventOf(entry) ?? []);
      return rolloutEvents.watch(backlog, signal);
    },
    async restore({ entries, sequence, ...given }) {
      if (log.length > 0)
        throw new StoreUnavailableError("the store is not empty: restore into an empty store");
      if (BigInt(entries.length) !== sequence)
        throw new StoreUnavailableError("a store in memory can restore only a complete audit");
      log.push(...entries);
      for (const [name, state] of given.routes) routes.set(name, state);
      for (const [name, state] of given.rollouts) rollouts.set(name, state);
    },
    async close() {
      routeEvents.close();
      rolloutEvents.close();
    },
  };
}

function sorted<T>(byName: ReadonlyMap<string, T>): T[] {
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
