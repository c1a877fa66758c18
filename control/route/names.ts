import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";

/** Namespace of a document that names none. */
export const defaultNamespace = "default";

/** "namespace/name" of a route. */
export function routeName(route: InferenceRoute): string {
  return `${route.metadata?.namespace || defaultNamespace}/${route.metadata?.name ?? ""}`;
}

/**
 * The full name that a user's word means: as written when it has a namespace;
 * else the one stored route of that name, or the one in namespace "default".
 */
export function resolveName(word: string, stored: Iterable<string>): string {
  if (word.includes("/")) return word;
  const matches = [...stored].filter((name) => name.endsWith(`/${word}`));
  const [only, ...others] = matches;
  return only !== undefined && others.length === 0 ? only : `${defaultNamespace}/${word}`;
}

/** Names of the routes by the hosts they answer for. */
export function routesByHost(routes: readonly RouteState[]): Map<string, string> {
  return new Map(
    routes.flatMap(({ route }) =>
      route ? (route.spec?.hosts ?? []).map((host) => [host, routeName(route)] as const) : [],
    ),
  );
}
