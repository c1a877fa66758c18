import type { RolloutState } from "../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../gen/weir/v1/service_pb.ts";
import type { RouteDraft } from "../route/index.ts";
import { shorten } from "../text/shorten.ts";
import type { Contents } from "./contents.ts";

/** A write names who makes it and why; both go into the audit with it. */
export interface Author {
  principal: string;
  reason: string;
  /**
   * Number of the leadership that the write is made under; absent for writes
   * that need none. A store never takes one that is lower than another it took.
   */
  fence?: bigint;
}

/** One change of the stored routes, in the order the writes were made. */
export interface RouteEvent {
  event: "put" | "delete";
  /** The state after a put, the last state before a delete. */
  state: RouteState;
  /** Store-wide sequence number of the write; only grows, also over restarts. */
  sequence: bigint;
}

/** One change of the stored rollouts. */
export interface RolloutEvent {
  state: RolloutState;
  sequence: bigint;
}

/** A write of a rollout and, where it moves weights, of its route with it. */
export interface RolloutWrite {
  /** The store adds etag and time. */
  rollout: RolloutState;
  /** Of the stored rollout: "" writes over anything, "0" only creates. */
  etag: string;
  /** The route to store in the same transaction, against the etag that it was read with. */
  route?: { draft: RouteDraft; etag: string };
}

/**
 * Store keeps desired routes and the audit of their changes.
 *
 * Every write is one transaction that compares the etag, stores the route and
 * appends the audit entry: all of it or nothing. Names are "namespace/name".
 */
export interface Store {
  /** Undefined when there is no such route. */
  get(name: string): Promise<RouteState | undefined>;
  /** All routes, ordered by name, and the sequence number of the newest write. */
  list(): Promise<{ routes: RouteState[]; sequence: bigint }>;
  /**
   * Creates or replaces a route.
   * @param etag "" writes over anything; "0" only creates; else it must be the stored one.
   * @throws StaleEtagError, FencedError, StoreUnavailableError
   */
  put(
    name: string,
    draft: RouteDraft,
    etag: string,
    action: string,
    author: Author,
  ): Promise<RouteState>;
  /** Deletes a route. @throws StaleEtagError, NotStoredError, FencedError, StoreUnavailableError */
  delete(name: string, etag: string, author: Author): Promise<RouteState>;
  /** Newest first; name "" means all routes. */
  audit(name: string, limit: number): Promise<AuditEntry[]>;
  /** The newest rollout of a route, ended ones included; undefined when it never had one. */
  getRollout(name: string): Promise<RolloutState | undefined>;
  /** All rollouts, ordered by the routes' names. */
  listRollouts(): Promise<RolloutState[]>;
  /**
   * Stores a rollout under its route's name, and the route where one is given.
   * One transaction, one audit entry that carries both.
   * @throws StaleEtagError for either etag, FencedError, StoreUnavailableError
   */
  putRollout(
    name: string,
    write: RolloutWrite,
    action: string,
    author: Author,
  ): Promise<{ rollout: RolloutState; route?: RouteState }>;
  /** Changes of rollouts after the given sequence number, then each new one, until the signal aborts. */
  watchRollouts(after: bigint, signal: AbortSignal): AsyncIterable<RolloutEvent>;
  /** Changes after the given sequence number, then each new one, until the signal aborts. */
  watch(after: bigint, signal: AbortSignal): AsyncIterable<RouteEvent>;
  /**
   * Since when reads are answered from a copy because the store itself cannot
   * be reached; undefined while they are not. Absent where that cannot be.
   */
  staleSince?(): Date | undefined;
  /**
   * What in the store cannot be read, and why: it stays as it was last known, and
   * keeps nothing else from being read and written. Absent where that cannot be.
   */
  damaged?(): ReadonlyMap<string, string>;
  /**
   * Fills an empty store with everything of another, etags, numbers and audit as
   * they were. Absent where that cannot be.
   * @throws StoreUnavailableError when the store is not empty
   */
  restore?(contents: Contents): Promise<void>;
  close(): Promise<void>;
}

/** The etag of a write is not the stored one. */
export class StaleEtagError extends Error {
  override name = "StaleEtagError";
  readonly current: string;
  constructor(route: string, given: string, current: string) {
    super(`etag "${shorten(given, 64)}" of ${route} is stale: the current one is "${current}"`);
    this.current = current;
  }
}

/** The write was made under a leadership that another one has followed. */
export class FencedError extends Error {
  override name = "FencedError";
  constructor(given: bigint, newest: bigint) {
    super(`leadership ${given} has ended: ${newest} is newer`);
  }
}

/** There is no route of that name. */
export class NotStoredError extends Error {
  override name = "NotStoredError";
}

/** The store cannot be read or written now (disk full, closed, unreachable). */
export class StoreUnavailableError extends Error {
  override name = "StoreUnavailableError";
}

/** Too much changed while a watch was not read: the changes that it missed are no longer kept. */
export class WatchBehindError extends Error {
  override name = "WatchBehindError";
  constructor(maxNames: number) {
    super(
      `the watch is read too slowly: more than ${maxNames} routes changed since the last read; start a new watch to get the stored state`,
    );
  }
}

/** The store is reachable and does not take the write (no such namespace, not allowed). */
export class StoreRefusedError extends Error {
  override name = "StoreRefusedError";
}
