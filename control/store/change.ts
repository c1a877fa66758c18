import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type RolloutState, RolloutStateSchema } from "../gen/weir/v1/rollout_pb.ts";
import {
  type AuditEntry,
  AuditEntrySchema,
  type RouteState,
  RouteStateSchema,
} from "../gen/weir/v1/service_pb.ts";
import { type RouteDraft, routeName } from "../route/index.ts";
import {
  type Author,
  FencedError,
  NotStoredError,
  type RolloutEvent,
  type RolloutWrite,
  type RouteEvent,
  StaleEtagError,
} from "./store.ts";

/** What one write changes: computed before anything is stored, the same for every store. */
export interface Change {
  /** The route's new state; absent when the write leaves the route alone or deletes it. */
  state?: RouteState;
  /** The route goes. */
  deleted?: boolean;
  /** The rollout's new state; absent when the write leaves it alone. */
  rollout?: RolloutState;
  /** The leadership of the write, where it is newer than any before. */
  fence?: bigint;
  entry: AuditEntry;
}

/** What is stored under a name before a write. */
export interface Stored {
  route: RouteState | undefined;
  rollout: RolloutState | undefined;
  /** The newest leadership that wrote anything; 0 before the first. */
  fence: bigint;
}

/** What every write has. */
export interface Writing {
  name: string;
  stored: Stored;
  /** Number that the write gets. */
  sequence: bigint;
  author: Author;
  now: Date;
}

/** A put, checked against the state it replaces. @throws StaleEtagError, FencedError */
export function putChange(
  writing: Writing,
  draft: RouteDraft,
  etag: string,
  action: string,
): Change {
  const { name, stored, sequence, author, now } = writing;
  const fence = newFence(author, stored);
  checkEtag(name, etag, stored.route);
  const state = newState(draft, sequence, now);
  const entry = auditEntry(writing, action);
  if (stored.route) entry.before = stored.route;
  entry.after = state;
  return { state, ...fence, entry };
}

/** A delete, checked likewise. @throws StaleEtagError, NotStoredError, FencedError */
export function deleteChange(writing: Writing, etag: string): Change {
  const { name, stored, author } = writing;
  const fence = newFence(author, stored);
  if (stored.route === undefined) throw new NotStoredError(`there is no route ${name}`);
  checkEtag(name, etag, stored.route);
  const entry = auditEntry(writing, "delete");
  entry.before = stored.route;
  return { deleted: true, ...fence, entry };
}

/** A write of a rollout and perhaps of its route, checked against both. @throws StaleEtagError, FencedError */
export function rolloutChange(
  writing: Writing,
  { rollout: given, etag, route }: RolloutWrite,
  action: string,
): Change {
  const { name, stored, sequence, author, now } = writing;
  const fence = newFence(author, stored);
  checkEtag(`the rollout of ${name}`, etag, stored.rollout);
  if (route) checkEtag(name, route.etag, stored.route);
  const rollout = create(RolloutStateSchema, {
    ...given,
    etag: String(sequence),
    updated: timestampFromDate(now),
  });
  const entry = auditEntry(writing, action);
  if (stored.rollout) entry.rolloutBefore = stored.rollout;
  entry.rolloutAfter = rollout;
  if (route === undefined) return { rollout, ...fence, entry };
  const state = newState(route.draft, sequence, now);
  if (stored.route) entry.before = stored.route;
  entry.after = state;
  return { state, rollout, ...fence, entry };
}

/** The event that an audit entry tells of: the audit is the log that watches replay. */
export function eventOf(entry: AuditEntry): RouteEvent | undefined {
  if (entry.after) return { event: "put", state: entry.after, sequence: entry.sequence };
  if (entry.before) return { event: "delete", state: entry.before, sequence: entry.sequence };
  return undefined;
}

/** The same of rollouts. */
export function rolloutEventOf({ rolloutAfter, sequence }: AuditEntry): RolloutEvent | undefined {
  return rolloutAfter ? { state: rolloutAfter, sequence } : undefined;
}

/** Name of the route that an event is about. */
export function eventName({ state }: RouteEvent): string {
  return routeName(state.route);
}

/** The same of rollouts. */
export function rolloutEventName({ state }: RolloutEvent): string {
  return routeName(state.rollout);
}

/** The change that an entry of the audit records. */
export function changeOf(entry: AuditEntry): Change {
  return {
    entry,
    ...(entry.after ? { state: entry.after } : {}),
    ...(entry.before && !entry.after ? { deleted: true } : {}),
    ...(entry.rolloutAfter ? { rollout: entry.rolloutAfter } : {}),
  };
}

/** A leader that was overtaken may not know it yet: its writes are refused for good. */
function newFence({ fence }: Author, stored: Stored): { fence?: bigint } {
  if (fence === undefined || fence === stored.fence) return {};
  if (fence < stored.fence) throw new FencedError(fence, stored.fence);
  return { fence };
}

function checkEtag(name: string, etag: string, stored: { etag: string } | undefined): void {
  const current = stored?.etag ?? "0";
  if (etag !== "" && etag !== current) throw new StaleEtagError(name, etag, current);
}

function newState(draft: RouteDraft, sequence: bigint, now: Date): RouteState {
  return create(RouteStateSchema, {
    ...(draft.route ? { route: draft.route } : {}),
    buckets: draft.buckets,
    etag: String(sequence),
    updated: timestampFromDate(now),
  });
}

function auditEntry({ name, sequence, author, now }: Writing, action: string): AuditEntry {
  const { principal, reason } = author;
  return create(AuditEntrySchema, {
    sequence,
    at: timestampFromDate(now),
    action,
    name,
    principal,
    reason,
  });
}
