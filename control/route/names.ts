import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";

/** Namespace of a document that names none. */
export const defaultNamespace = "default";

/** "namespace/name" of a route, or of the rollout of one; "" of none. */
export function routeName(route: Pick<InferenceRoute, "metadata"> | undefined): string {
  if (route === undefined) return "";
  return `${route.metadata?.namespace || defaultNamespace}/${route.metadata?.name ?? ""}`;
}

const label = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?";
const wholeName = new RegExp(`^${label}/${label}$`);

/** Whether a route can have this "namespace/name": any other is stored nowhere. */
export function isRouteName(name: string): boolean {
  return wholeName.test(name);
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
