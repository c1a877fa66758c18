import type { AuditEntry, RouteState } from "../gen/weir/v1/service_pb.ts";
import { createBroadcast } from "./broadcast.ts";
import { type Change, deleteChange, eventOf, putChange } from "./change.ts";
import type { Store } from "./store.ts";

/** A store that forgets everything when the process ends: for tests and for trying things out. */
export function createMemoryStore(now: () => Date = () => new Date()): Store {
  const routes = new Map<string, RouteState>();
  const log: AuditEntry[] = [];
  const broadcast = createBroadcast();
  const next = () => BigInt(log.length + 1);

  function commit(name: string, change: Change): void {
    if (change.state) routes.set(name, change.state);
    else routes.delete(name);
    log.push(change.entry);
    const event = eventOf(change.entry);
    if (event) broadcast.send(event);
  }

  return {
    async get(name) {
      return routes.get(name);
    },
    async list() {
      const sorted = [...routes].sort(([a], [b]) => (a < b ? -1 : 1));
      return { routes: sorted.map(([, state]) => state), sequence: BigInt(log.length) };
    },
    async put(name, draft, etag, action, author) {
      const change = putChange(name, draft, etag, routes.get(name), next(), action, author, now());
      commit(name, change);
      return change.state as RouteState;
    },
    async delete(name, etag, author) {
      const stored = routes.get(name);
      commit(name, deleteChange(name, etag, stored, next(), author, now()));
      return stored as RouteState;
    },
    async audit(name, limit) {
      const entries = name === "" ? log : log.filter((entry) => entry.name === name);
      return entries.slice(-limit).reverse();
    },
    watch(after, signal) {
      const backlog = log.slice(Number(after)).flatMap((entry) => eventOf(entry) ?? []);
      return broadcast.watch(backlog, signal);
    },
    async close() {
      broadcast.close();
    },
  };
}
