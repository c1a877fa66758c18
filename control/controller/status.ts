import { isDeepStrictEqual } from "node:util";
import type { Problem } from "../route/index.ts";
import type { ApplyProblem } from "./apply.ts";
import type { ConditionJson, RouteMeta, RouteStatusJson } from "./meta.ts";

/** A reference of a route to a missing object, with the lint that found it. */
export interface Unresolved {
  /** E.g. "gateway-missing". */
  id: string;
  path: string;
  message: string;
}

/** What is known about a route after a pass. */
export interface Findings {
  /** etag of the state that was applied; absent when nothing of the route is stored. */
  etag: string | undefined;
  /** Why the spec in the cluster is not in force. */
  refused: readonly Problem[];
  /** Why objects are not as they should be. */
  problems: readonly ApplyProblem[];
  /** What the route refers to and the cluster lacks, or what is in its way there. */
  unresolved: readonly Unresolved[];
  /** Why the pass failed: the API server's message. */
  trouble: string | undefined;
  /** Edits that were undone since the status last changed. */
  corrected: readonly string[];
  filterRevision: string;
  proxies: { wanted: number; applied: number } | undefined;
}

/** The status to write; undefined when it equals the present one. */
export function statusOf(meta: RouteMeta, found: Findings, now: Date): RouteStatusJson | undefined {
  const before = meta.status;
  const current = found.etag !== undefined && meta.etag === found.etag;
  const seen = current || found.refused.length > 0;
  const observedGeneration = seen ? meta.generation : (before?.observedGeneration ?? 0);
  const condition = (type: string, is: boolean, reason: string, message = ""): ConditionJson => {
    const old = before?.conditions?.find((each) => each.type === type);
    const status = is ? "True" : "False";
    return {
      type,
      status,
      reason,
      message: message.slice(0, 4_096),
      lastTransitionTime:
        old?.status === status ? old.lastTransitionTime : `${now.toISOString().slice(0, 19)}Z`,
      observedGeneration,
    };
  };
  const refused = found.refused.map(({ path, message }) => `${path}: ${message}`).join("; ");
  const paused = found.problems.filter(({ reason }) => reason === "Paused");
  const [first] = found.problems;
  const [unresolved] = found.unresolved;
  const missing = found.unresolved.map(({ path, message }) => `${path}: ${message}`).join("; ");
  const status: RouteStatusJson = {
    observedGeneration,
    observedRevision: found.etag ?? before?.observedRevision ?? "",
    filterRevision: found.filterRevision,
    conditions: [
      refused === ""
        ? condition("Accepted", true, "Valid")
        : condition("Accepted", false, "Invalid", refused),
      first === undefined && found.trouble === undefined && found.etag !== undefined
        ? condition("Applied", true, "Applied")
        : condition(
            "Applied",
            false,
            first?.reason ?? (found.trouble ? "Unreachable" : "NotStored"),
            first ? found.problems.map(({ message }) => message).join("; ") : (found.trouble ?? ""),
          ),
      unresolved === undefined
        ? condition("ResolvedRefs", true, "ResolvedRefs")
        : condition("ResolvedRefs", false, reasonOf(unresolved.id), missing),
      paused.length > 0
        ? condition("Drifted", true, "Paused", paused.map(({ message }) => message).join("; "))
        : condition("Drifted", false, ...corrections(before, found.corrected)),
    ],
    ...(found.proxies ? { proxies: found.proxies } : {}),
  };
  return before !== undefined && isDeepStrictEqual(plain(before), plain(status))
    ? undefined
    : status;
}

/** "gateway-missing" as a condition's reason is: "GatewayMissing". */
function reasonOf(id: string): string {
  return id.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The last correction stays visible until the next one. */
function corrections(
  before: RouteStatusJson | undefined,
  corrected: readonly string[],
): [string, string] {
  if (corrected.length > 0) return ["Corrected", `edits were undone: ${corrected.join("; ")}`];
  const old = before?.conditions?.find(({ type }) => type === "Drifted");
  return old?.reason === "Corrected" ? ["Corrected", old.message] : ["AsRendered", ""];
}

function plain(status: RouteStatusJson): unknown {
  const byType = (a: ConditionJson, b: ConditionJson) => (a.type < b.type ? -1 : 1);
  return JSON.parse(
    JSON.stringify({ ...status, conditions: [...(status.conditions ?? [])].sort(byType) }),
  );
}
