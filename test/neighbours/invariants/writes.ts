import { equals } from "@bufbuild/protobuf";
import { RolloutStateSchema } from "../../../control/gen/weir/v1/rollout_pb.ts";
import {
  type AuditEntry,
  type RouteState,
  RouteStateSchema,
} from "../../../control/gen/weir/v1/service_pb.ts";
import type { Violated } from "./violation.ts";

/** How a write that someone sent once came out. */
type Outcome = "under way" | "acknowledged" | "refused" | "unknown";

interface Asked {
  route: string;
  outcome: Outcome;
  etag?: string;
}

/** What happened by which Weir may write by itself. */
export interface Causes {
  /** Whether a proxy with this namespace ever refused something. */
  refused(namespace: string): boolean;
}

/** Under what names Weir itself writes. */
const own = ["weir", "rollout"];

/**
 * No acknowledged write is lost or doubled, what was refused is not there, and
 * Weir writes by itself only with a cause and only what changes something. Every
 * write carries a reason of its own, by which it is found in the audit.
 */
export function createWrites(causes: Causes, violated: Violated) {
  const asked = new Map<string, Asked>();
  const found = new Map<string, number>();
  const last = new Map<string, RouteState | undefined>();
  const walking = new Set<string>();
  const byPeople = new Map<string, number>();
  const takenBack = new Map<string, number>();
  const tell = (who: string, what: string) => violated({ invariant: "writes", who, what });
  let sequence = 0n;
  let steps = 0;

  function chain({ sequence: at, name, action, before, after }: AuditEntry): void {
    // An entry of a rollout that moves no weights says nothing about the route.
    if (before === undefined && after === undefined) return;
    const known = last.get(name);
    if (known?.etag !== before?.etag)
      tell(
        `${name} ${at}`,
        `${action} follows the etag ${before?.etag}, while the write before it was ${known?.etag}`,
      );
    last.set(name, action === "delete" ? undefined : after);
  }

  function byWeir(entry: AuditEntry): void {
    const { sequence: at, name, action, reason } = entry;
    const namespace = name.split("/", 1)[0] ?? "";
    const who = `${name} ${at}`;
    if (changesNothing(entry)) tell(who, `Weir's ${action} (${reason}) changes nothing`);
    if (action === "take-back") {
      const count = (takenBack.get(name) ?? 0) + 1;
      takenBack.set(name, count);
      if (!causes.refused(namespace))
        tell(who, `taken back (${reason}) though no proxy of ${namespace} refused anything`);
      if (count > (byPeople.get(name) ?? 0))
        tell(`${name} take-backs`, `${count} of ${byPeople.get(name) ?? 0} writes`);
    } else if (action.startsWith("rollout-")) {
      steps++;
      if (!walking.has(name)) tell(who, `Weir's ${action} though no one started a rollout`);
    } else tell(who, `Weir wrote "${action}" (${reason}), which nobody asked for`);
  }

  function byPerson({ sequence: at, name, action, principal, reason, after }: AuditEntry): void {
    const write = asked.get(reason);
    byPeople.set(name, (byPeople.get(name) ?? 0) + 1);
    if (write === undefined) {
      tell(`${name} ${at}`, `${principal}'s ${action} (${reason}) was never sent`);
      return;
    }
    const times = (found.get(reason) ?? 0) + 1;
    found.set(reason, times);
    if (times > 1) tell(reason, `is in the audit ${times} times`);
    if (write.outcome === "refused") tell(reason, "was refused, and written all the same");
    if (write.etag && after && write.etag !== after.etag)
      tell(reason, `was acknowledged as ${write.etag}, and is ${after.etag} in the audit`);
  }

  return {
    asked: (reason: string, route: string) =>
      void asked.set(reason, { route, outcome: "under way" }),
    acknowledged(reason: string, etag?: string): void {
      Object.assign(asked.get(reason) ?? {}, {
        outcome: "acknowledged",
        ...(etag ? { etag } : {}),
      });
    },
    /** The service said no: the write must not be there. */
    refused: (reason: string) =>
      void Object.assign(asked.get(reason) ?? {}, { outcome: "refused" }),
    /** No answer came: it may be there or not. */
    unknown: (reason: string) =>
      void Object.assign(asked.get(reason) ?? {}, { outcome: "unknown" }),
    /** The next entry of the audit, in its order. */
    entry(entry: AuditEntry): void {
      if (entry.sequence !== sequence + 1n)
        tell(`audit ${entry.sequence}`, `follows ${sequence}: the row has a gap`);
      sequence = entry.sequence;
      chain(entry);
      if (own.includes(entry.principal)) byWeir(entry);
      else byPerson(entry);
      if (entry.action === "rollout-start") walking.add(entry.name);
      if (/^(succeeded|rolled-back|abandoned)$/.test(entry.rolloutAfter?.phase ?? ""))
        walking.delete(entry.name);
    },
    /** When no entry will come any more. @param stored etag by route, as the store has them */
    end(stored: ReadonlyMap<string, string>): void {
      for (const [reason, { route, outcome, etag }] of asked)
        if (outcome === "acknowledged" && !found.has(reason))
          tell(
            reason,
            `of ${route} was acknowledged (${etag ?? "no etag"}) and is not in the audit`,
          );
      for (const [name, state] of last)
        if (state?.etag !== stored.get(name))
          tell(name, `is stored as ${stored.get(name)}, while its last write was ${state?.etag}`);
    },
    lastSequence: () => sequence,
    count: () => asked.size,
    /** Writes to routes of the teams whose names begin like this. */
    ofNamespaces: (start: string) =>
      [...asked.values()].filter(({ route }) => route.startsWith(start)).length,
    of: (outcome: Outcome) => [...asked.values()].filter((each) => each.outcome === outcome).length,
    takenBack: () => [...takenBack.values()].reduce((sum, count) => sum + count, 0),
    steps: () => steps,
  };
}

export type Writes = ReturnType<typeof createWrites>;

function changesNothing(entry: AuditEntry): boolean {
  const { before, after, rolloutBefore, rolloutAfter } = entry;
  if (rolloutAfter !== undefined) {
    if (rolloutBefore === undefined) return false;
    const plain = (state: typeof rolloutAfter) => ({ ...state, etag: "", updated: undefined });
    return equals(RolloutStateSchema, plain(rolloutBefore) as never, plain(rolloutAfter) as never);
  }
  if (before === undefined || after === undefined) return false;
  const plain = (state: RouteState) => ({ ...state, etag: "", updated: undefined });
  return equals(RouteStateSchema, plain(before) as never, plain(after) as never);
}
