import { isDeepStrictEqual } from "node:util";
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import type { KubernetesObject } from "../../objects/index.ts";
import { fullObjectName, objectNamespace } from "../../objects/index.ts";
import type { K8sObject, Manifest } from "../manifest.ts";
import { toYaml } from "../text/yaml.ts";
import { routesOf } from "./previous.ts";

/** What applying would do to one object. */
export interface ObjectChange {
  action: "create" | "change" | "delete" | "none";
  kind: string;
  /** "namespace/name". */
  name: string;
  /** Unified diff of the two as YAML; empty when there is nothing to show. */
  diff: string;
}

/** Kinds whose fields the API server fills in: what only the cluster has is no difference. */
const defaultedKinds = new Set(["HTTPRoute", "HorizontalPodAutoscaler", "ScaledObject"]);

/**
 * What would change where these objects are, were the manifests applied and
 * what Weir no longer renders for the routes deleted.
 */
export function planObjects(
  manifests: Manifest[],
  existing: readonly KubernetesObject[],
  routes: readonly string[],
): ObjectChange[] {
  const before = new Map(existing.map((object) => [keyOf(object), object]));
  const changes = manifests.map(({ object }) => {
    const there = before.get(keyOf(object));
    before.delete(keyOf(object));
    return there ? changed(there, object) : described("create", object, undefined, object);
  });
  for (const object of before.values()) {
    const mine = routesOf(object);
    if (mine.length > 0 && mine.every((route) => routes.includes(route)))
      changes.push(described("delete", object, object, undefined));
  }
  return changes;
}

function changed(there: KubernetesObject, object: K8sObject): ObjectChange {
  const shown = relevant(there, object);
  return isDeepStrictEqual(sorted(shown), sorted(object))
    ? { action: "none", kind: object.kind, name: fullObjectName(object), diff: "" }
    : described("change", object, shown, object);
}

/** The existing object with what Weir speaks about: its spec, and its own labels and annotations. */
function relevant(there: KubernetesObject, object: K8sObject): K8sObject {
  const own = (theirs: Record<string, string> | undefined, mine: Record<string, string>) =>
    Object.fromEntries(Object.entries(theirs ?? {}).filter(([name]) => name in mine));
  const spec = defaultedKinds.has(object.kind) ? common(there.spec, object.spec) : there.spec;
  return {
    apiVersion: object.apiVersion,
    kind: there.kind,
    metadata: {
      name: there.metadata.name,
      namespace: objectNamespace(there),
      labels: own(there.metadata.labels, object.metadata.labels),
      annotations: own(there.metadata.annotations, object.metadata.annotations),
    },
    spec: (spec ?? {}) as K8sObject["spec"],
  };
}

/** The first, without members that the second does not have. */
function common(there: unknown, wanted: unknown): unknown {
  if (Array.isArray(there) && Array.isArray(wanted))
    return there.map((each, index) => (index < wanted.length ? common(each, wanted[index]) : each));
  if (!isRecord(there) || !isRecord(wanted)) return there;
  return Object.fromEntries(
    Object.entries(there)
      .filter(([name]) => name in wanted)
      .map(([name, value]) => [name, common(value, wanted[name])]),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Members in one order: a cluster lists them as it likes. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [name, sorted(each)]),
  );
}

function described(
  action: ObjectChange["action"],
  object: Pick<KubernetesObject, "kind" | "metadata">,
  before: object | undefined,
  after: object | undefined,
): ObjectChange {
  const text = (value: object | undefined) =>
    value ? toYaml([{ object: sorted(value) as K8sObject, origins: [] }]) : "";
  const diff = createTwoFilesPatch("there", "given", text(before), text(after), "", "", {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
  return { action, kind: object.kind, name: fullObjectName(object), diff };
}

function keyOf(object: Pick<KubernetesObject, "kind" | "metadata">): string {
  return `${object.kind} ${fullObjectName(object)}`;
}
