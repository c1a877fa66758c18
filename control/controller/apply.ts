import { type KubeClient, KubeError, type KubeObject } from "../kube/index.ts";
import type { Desired } from "./desired.ts";
import { kindOf, pathOf } from "./resources.ts";

/** Owner of the fields Weir renders, as the objects' managedFields show it. */
export const manager = "weir";

/** What happens to an edit of a field that Weir owns. */
export type DriftPolicy = "correct" | "pause";

/** Why an object is not as it should be; the reason is one word for programs. */
export interface ApplyProblem {
  reason: "Foreign" | "FieldConflict" | "Paused" | "Refused" | "UnknownKind";
  message: string;
}

export interface Applied {
  object?: KubeObject;
  problem?: ApplyProblem;
  /** Describes an edit that was undone. */
  corrected?: string;
}

/**
 * Applies an object as the manager "weir". Fields that another applier owns are
 * never taken from it; edits by hand are, unless drift pauses.
 * @param isKnown the object is known to be Weir's already
 * @throws KubeError, KubeUnreachableError when trying again later may help
 */
export async function applyObject(
  client: KubeClient,
  { object, key }: Desired,
  policy: DriftPolicy,
  isKnown = false,
): Promise<Applied> {
  const path = pathOf(object);
  try {
    const live = isKnown ? undefined : await client.get(path);
    if (live && !isOurs(live))
      return problem(
        "Foreign",
        `${key} already exists and was not made by Weir: delete it or rename the route`,
      );
    return { object: await client.apply(path, object, { fieldManager: manager }) };
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 404) return problem("UnknownKind", unknownKind(object, error));
    if (isTooLarge(error))
      return problem(
        "Refused",
        `${key} is too large for the API server (${error.message}): attach its routes to several groups of proxies`,
      );
    if (error.status === 400 || error.status === 422 || error.status === 403)
      return problem("Refused", `${key}: ${error.message}`);
    if (error.status !== 409) throw error;
    const conflicts = conflictsOf(error);
    if (conflicts.length === 0) throw error;
    return resolveConflict(client, { object, key }, conflicts, policy);
  }
}

interface Conflict {
  manager: string;
  field: string;
}

async function resolveConflict(
  client: KubeClient,
  { object, key }: Pick<Desired, "object" | "key">,
  conflicts: Conflict[],
  policy: DriftPolicy,
): Promise<Applied> {
  const path = pathOf(object);
  const live = await client.get(path);
  const appliers = new Set(
    (live?.metadata.managedFields ?? [])
      .filter(({ operation }) => operation === "Apply")
      .map((each) => each.manager),
  );
  const others = conflicts.filter((each) => appliers.has(each.manager));
  const words = (list: Conflict[]) =>
    list.map((each) => `${each.field} (by "${each.manager}")`).join(", ");
  if (others.length > 0)
    return problem(
      "FieldConflict",
      `${key}: another tool applies the same fields: ${words(others)}`,
    );
  if (policy === "pause")
    return problem(
      "Paused",
      `${key} was edited and is kept as it is (--drift pause): ${words(conflicts)}`,
    );
  const forced = await client.apply(path, object, { fieldManager: manager, force: true });
  return { object: forced, corrected: `${key}: ${words(conflicts)}` };
}

/** Rendered by Weir, by this service or through `weir render`. */
function isOurs({ metadata }: KubeObject): boolean {
  return metadata.labels?.["app.kubernetes.io/managed-by"] === "weir";
}

function conflictsOf(error: KubeError): Conflict[] {
  return error.causes
    .filter(({ reason }) => reason === "FieldManagerConflict")
    .map(({ message = "", field = "" }) => ({
      manager: /conflict with "([^"]*)"/.exec(message)?.[1] ?? message,
      field,
    }));
}

/** etcd's own limit, 1.5 MB where nothing else is set, comes as a server's failure, and so does gRPC's. */
function isTooLarge({ status, message }: KubeError): boolean {
  return status === 413 || /request is too large|message larger than max/.test(message);
}

function unknownKind(object: Desired["object"], error: KubeError): string {
  if (/namespaces? "/.test(error.message)) return error.message;
  const { kind, apiVersion, needs } = kindOf(object);
  return `the cluster has no kind ${kind} (${apiVersion}): install ${needs}`;
}

function problem(reason: ApplyProblem["reason"], message: string): Applied {
  return { problem: { reason, message } };
}
