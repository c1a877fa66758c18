import { createHash } from "node:crypto";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import {
  type K8sObject,
  type RenderOptions,
  renderIstio,
  selectPluginName,
} from "../istio/index.ts";
import { type Problem, routeName } from "../route/index.ts";
import { keyOf, kindOf } from "./resources.ts";

/** Who wrote an object: pruned is only what carries this instance's name. */
export const instanceLabel = "weir.dev/instance";
/** Digest of an object as rendered, which distinguishes edits by others from our own changes. */
export const digestAnnotation = "weir.dev/digest";
const routeAnnotation = "weir.dev/route";

/** An object that should be in the cluster. */
export interface Desired {
  key: string;
  rank: number;
  object: K8sObject;
  digest: string;
  /** "namespace/name" of the routes it is made for. */
  routes: string[];
}

/** All that should be in the cluster, and what could not be rendered, by route. */
export interface Wanted {
  /** In the order to apply. */
  objects: Map<string, Desired>;
  problems: Map<string, Problem[]>;
}

/** Renders all routes together; a route that cannot be rendered does not block the others. */
export function wanted(
  states: readonly RouteState[],
  options: RenderOptions,
  instance: string,
): Wanted {
  const problems = new Map<string, Problem[]>();
  let left = [...states];
  for (;;) {
    const rendering = renderIstio(left, options);
    if (rendering.problems.length === 0) {
      const objects = rendering.manifests.map(({ object }) => desired(object, instance));
      return { objects: new Map(objects.map((each) => [each.key, each])), problems };
    }
    const names = new Set(rendering.problems.map(({ route }) => route));
    for (const { route, code, path, message } of rendering.problems)
      for (const name of route === "" ? left.map((state) => routeName(state.route)) : [route])
        problems.set(name, [...(problems.get(name) ?? []), { code, path, message }]);
    // Wrong options are everyone's problem.
    if (names.has("")) return { objects: new Map(), problems };
    left = left.filter((state) => !names.has(routeName(state.route)));
  }
}

/** An object with the marks of its owner on it. */
export function desired(object: K8sObject, instance: string): Desired {
  const { metadata } = object;
  const digest = createHash("sha256").update(JSON.stringify(object)).digest("hex").slice(0, 16);
  const marked: K8sObject = {
    ...object,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [instanceLabel]: instance },
      annotations: { ...metadata.annotations, [digestAnnotation]: digest },
    },
  };
  const routes = routesOf(metadata.annotations);
  return { key: keyOf(object), rank: kindOf(object).rank, object: marked, digest, routes };
}

interface Plugin {
  pluginName?: string;
  pluginConfig?: { revision?: string };
}

/** What the filters of each route report when they run what is wanted, by route. */
export function filterRevisions({ objects }: Wanted): Map<string, string> {
  const revisions = new Map<string, string>();
  for (const { object, routes } of objects.values()) {
    const wasm = (object.spec.wasm ?? object.spec) as Plugin;
    const revision = wasm.pluginConfig?.revision;
    // Only that of a filter that reports it.
    if (revision !== undefined && wasm.pluginName !== selectPluginName)
      for (const name of routes) revisions.set(name, revision);
  }
  return revisions;
}

/** The routes an object was made for, from its annotation. */
export function routesOf(annotations: Record<string, string> | undefined): string[] {
  return (annotations?.[routeAnnotation] ?? "").split(",").filter((name) => name !== "");
}
