import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type AuditEntry,
  AuditEntrySchema,
  type RouteState,
  RouteStateSchema,
} from "../gen/weir/v1/service_pb.ts";
import type { RouteDraft } from "../route/index.ts";
import { type Author, NotStoredError, type RouteEvent, StaleEtagError } from "./store.ts";

/** What one write of a route changes: computed before anything is stored, the same for every store. */
export interface Change {
  /** The new state; absent for a delete. */
  state?: RouteState;
  entry: AuditEntry;
}

/** A put, checked against the state it replaces. @throws StaleEtagError */
export function putChange(
  name: string,
  draft: RouteDraft,
  etag: string,
  stored: RouteState | undefined,
  sequence: bigint,
  action: string,
  author: Author,
  now: Date,
): Change {
  checkEtag(name, etag, stored);
  const state = create(RouteStateSchema, {
    ...(draft.route ? { route: draft.route } : {}),
    buckets: draft.buckets,
    etag: String(sequence),
    updated: timestampFromDate(now),
  });
  return { state, entry: auditEntry(name, sequence, action, author, now, stored, state) };
}

/** A delete, checked likewise. @throws StaleEtagError, NotStoredError */
export function deleteChange(
  name: string,
  etag: string,
  stored: RouteState | undefined,
  sequence: bigint,
  author: Author,
  now: Date,
): Change {
  if (stored === undefined) throw new NotStoredError(`there is no route ${name}`);
  checkEtag(name, etag, stored);
  return { entry: auditEntry(name, sequence, "delete", author, now, stored, undefined) };
}

/** The event that an audit entry tells of: the audit is the log that watches replay. */
export function eventOf(entry: AuditEntry): RouteEvent | undefined {
  if (entry.after) return { event: "put", state: entry.after, sequence: entry.sequence };
  if (entry.before) return { event: "delete", state: entry.before, sequence: entry.sequence };
  return undefined;
}

function checkEtag(name: string, etag: string, stored: RouteState | undefined): void {
  const current = stored?.etag ?? "0";
  if (etag !== "" && etag !== current) throw new StaleEtagError(name, etag, current);
}

function auditEntry(
  name: string,
  sequence: bigint,
  action: string,
  author: Author,
  now: Date,
  before: RouteState | undefined,
  after: RouteState | undefined,
): AuditEntry {
  return create(AuditEntrySchema, {
    sequence,
    at: timestampFromDate(now),
    action,
    name,
    principal: author.principal,
    reason: author.reason,
    ...(before ? { before } : {}),
    ...(after ? { after } : {}),
  });
}
