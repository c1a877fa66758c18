import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Refusal, Snapshot, TypeName } from "../xds/index.ts";

/** Routes by name, as stored. */
export type Routes = ReadonlyMap<string, RouteState>;

/** What proxies of one scope are sent, and what of the store is in it. */
export interface Edition {
  routes: Routes;
  snapshot: Snapshot;
  /** What the filters report that run it. */
  revision: string;
  etags: ReadonlyMap<string, string>;
  /** Clusters are in it that have to go once every proxy has it. */
  gentle: boolean;
}

/** A route whose newest state is kept from a scope. */
export interface Held {
  /** Of the state that is kept back; empty where the route was deleted. */
  etag: string;
  /** What runs instead; undefined where the route is new. */
  instead: RouteState | undefined;
  refusal: Refusal;
}

/** Names of the routes that are not the same in both, in order. */
export function namesThatDiffer(a: Routes, b: Routes): string[] {
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((name) => a.get(name)?.etag !== b.get(name)?.etag)
    .sort();
}

/** The routes with one of them in another state, or without it. */
export function withRoute(routes: Routes, name: string, state: RouteState | undefined): Routes {
  const others = new Map(routes);
  if (state) others.set(name, state);
  else others.delete(name);
  return others;
}

/** With more changes than this, all of them are held. */
const maxTriedSingly = 8;

/**
 * What a refusal is about: the changed routes that the refused type carries.
 * @param versionOf of the refused type, made of some routes
 */
export function heldBy(
  refusal: Refusal,
  before: Routes,
  refused: Routes,
  versionOf: (routes: Routes, type: TypeName) => string,
): Map<string, Held> {
  const changed = namesThatDiffer(before, refused);
  const type = refusal.type as TypeName;
  const version = versionOf(refused, type);
  const carried =
    changed.length > maxTriedSingly
      ? changed
      : changed.filter(
          (name) => versionOf(withRoute(refused, name, before.get(name)), type) !== version,
        );
  return new Map(
    (carried.length > 0 ? carried : changed).map((name) => [
      name,
      { etag: refused.get(name)?.etag ?? "", instead: before.get(name), refusal },
    ]),
  );
}
