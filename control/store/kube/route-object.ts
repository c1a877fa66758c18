import { create, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type InferenceRoute, InferenceRouteSchema } from "../../gen/weir/v1/route_pb.ts";
import { type RouteState, RouteStateSchema } from "../../gen/weir/v1/service_pb.ts";
import type { KubeObject } from "../../kube/index.ts";
import { bucketCount, defaultNamespace, type Problem, parseRoute } from "../../route/index.ts";
import { errorText } from "../../text/error-text.ts";
import { digest, routeResource, stateAnnotation } from "./names.ts";
import { overlay } from "./overlay.ts";

/** What the state annotation of an InferenceRoute says. */
interface Bookkeeping {
  /** Number of the change that wrote the spec. */
  sequence: string;
  /** Digest of that spec: another one means that someone else wrote since. */
  spec: string;
  updated: string;
  /** Bucket table, as [variant, count]. */
  buckets: [string, number][];
}

/** An InferenceRoute of the cluster, read. */
export interface RouteObject {
  name: string;
  route: InferenceRoute | undefined;
  problems: Problem[];
  /** Number of the change this object shows; 0 when it was never Weir's. */
  sequence: bigint;
  /** The spec is not the one of that change. */
  edited: boolean;
  /** The state of that change, as the object shows it. */
  state: RouteState | undefined;
  object: KubeObject;
}

/** Prefixes of annotations that tools keep for themselves. */
const foreign = ["weir.dev/", "kubectl.kubernetes.io/", "meta.helm.sh/", "argocd.argoproj.io/"];

export function readRouteObject(object: KubeObject): RouteObject {
  const { name, namespace = defaultNamespace, labels = {}, annotations = {} } = object.metadata;
  const kept = Object.entries(annotations).filter(
    ([key]) => !foreign.some((prefix) => key.startsWith(prefix)),
  );
  const { routes, problems } = parseRoute({
    apiVersion: routeResource.apiVersion,
    kind: routeResource.kind,
    metadata: {
      name,
      namespace,
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(kept.length > 0 ? { annotations: Object.fromEntries(kept) } : {}),
    },
    spec: object.spec,
  });
  const route = routes[0];
  const known = bookkeeping(annotations[stateAnnotation]);
  const edited = known === undefined || route === undefined || known.spec !== specDigest(route);
  return {
    name: `${namespace}/${name}`,
    route,
    problems,
    sequence: BigInt(known?.sequence ?? 0),
    edited,
    state: known && route && !edited ? stateFrom(known, route) : undefined,
    object,
  };
}

/** The same of whatever an object holds: one that cannot be read keeps no other from it. */
export function readAnyObject(object: KubeObject): RouteObject | { name: string; message: string } {
  try {
    return readRouteObject(object);
  } catch (error) {
    const { name, namespace } = object.metadata;
    const message = `it cannot be read: ${errorText(error)}`;
    return { name: `${namespace}/${name}`, message };
  }
}

/** The object that shows a state: the given one with what changed, or a new one. */
export function writeRouteObject(
  name: string,
  state: RouteState,
  before: RouteState | undefined,
  live: KubeObject | undefined,
): object {
  const [namespace, local] = name.split("/");
  const wanted = json(state);
  const old = before ? json(before) : undefined;
  const metadata = (live?.metadata ?? {}) as unknown as JsonObject;
  const given = wanted.metadata as JsonObject;
  const gave = (old?.metadata ?? {}) as JsonObject;
  return {
    ...(live ?? {}),
    apiVersion: routeResource.apiVersion,
    kind: routeResource.kind,
    metadata: {
      ...metadata,
      name: local,
      namespace,
      labels: merged(metadata.labels, gave.labels, given.labels),
      annotations: {
        ...merged(metadata.annotations, gave.annotations, given.annotations),
        [stateAnnotation]: stateText(state),
      },
    },
    spec:
      live?.spec && old?.spec
        ? overlay(live.spec as JsonValue, old.spec, wanted.spec as JsonValue)
        : (wanted.spec as JsonValue),
  };
}

/** The state annotation alone, for an object whose spec already is the state's. */
export function stateText(state: RouteState): string {
  const known: Bookkeeping = {
    sequence: state.etag,
    spec: state.route ? specDigest(state.route) : "",
    updated: (state.updated ? timestampDate(state.updated) : new Date(0)).toISOString(),
    buckets: state.buckets.map(({ variant, count }) => [variant, count]),
  };
  return JSON.stringify(known);
}

export function specDigest(route: InferenceRoute): string {
  return digest((toJson(InferenceRouteSchema, route) as JsonObject).spec);
}

function json(state: RouteState): JsonObject {
  return toJson(InferenceRouteSchema, state.route as InferenceRoute) as JsonObject;
}

/** Someone may have written into it: then it says nothing. */
function bookkeeping(text: string | undefined): Bookkeeping | undefined {
  if (text === undefined || text.length > maxText) return undefined;
  let known: Partial<Record<keyof Bookkeeping, unknown>>;
  try {
    known = Object(JSON.parse(text));
  } catch {
    return undefined;
  }
  const { sequence, spec, updated, buckets } = known;
  if (typeof sequence !== "string" || !/^\d{1,16}$/.test(sequence)) return undefined;
  if (typeof spec !== "string" || typeof updated !== "string") return undefined;
  const year = new Date(updated).getUTCFullYear();
  if (!(year >= 1970 && year <= 9999) || !isTable(buckets)) return undefined;
  return { sequence, spec, updated, buckets };
}

/** As long as the state of a route with all its variants can be. */
const maxText = 1 << 18;

function isTable(buckets: unknown): buckets is [string, number][] {
  if (!Array.isArray(buckets)) return false;
  let sum = 0;
  for (const run of buckets) {
    if (!Array.isArray(run) || run.length !== 2) return false;
    const [variant, count] = run;
    if (typeof variant !== "string" || !Number.isInteger(count) || count < 0) return false;
    sum += count;
  }
  return sum === bucketCount;
}

function stateFrom(known: Bookkeeping, route: InferenceRoute): RouteState {
  const runs = known.buckets.map(([variant, count]) => ({ variant, count }));
  const state = fromJson(RouteStateSchema, { buckets: runs, etag: known.sequence });
  return create(RouteStateSchema, {
    ...state,
    route,
    updated: timestampFromDate(new Date(known.updated)),
  });
}

/** A map with what was ours taken out and what is ours put in; the rest stays. */
function merged(live: unknown, before: unknown, after: unknown): Record<string, string> {
  const kept = { ...((live ?? {}) as Record<string, string>) };
  for (const key of Object.keys((before ?? {}) as object)) delete kept[key];
  return { ...kept, ...((after ?? {}) as Record<string, string>) };
}
