import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { type Cluster, type Finding, lintSurroundings } from "../lint/index.ts";
import { routeName } from "../route/index.ts";

/** What is known of the cluster around the routes. A value: after a change there is another one. */
export interface Around {
  readonly objects: Cluster;
  /** Kinds that this service may not read: references to them are not checked. */
  readonly unread: ReadonlySet<string>;
}

/** What routes refer to that is not there, or collide with. */
export interface Unresolved {
  /** Findings of all these routes, by name; only what changed since the last call is computed anew. */
  of(routes: readonly RouteState[], around: Around): ReadonlyMap<string, readonly Finding[]>;
  /** Routes looked at so far, each as often as it was; for tests and metrics. */
  looks(): number;
}

/** Most passes are about neither the routes nor what is around them, and clusters have thousands of both. */
export function createUnresolved(): Unresolved {
  let known = new Map<string, { etag: string; findings: readonly Finding[] }>();
  let seen: Around | undefined;
  let looks = 0;
  return {
    of(routes, around) {
      const before = around === seen ? known : new Map<string, never>();
      known = new Map();
      seen = around;
      for (const { etag, route } of routes) {
        if (route === undefined) continue;
        const name = routeName(route);
        const same = before.get(name);
        if (same?.etag === etag) {
          known.set(name, same);
          continue;
        }
        looks++;
        const findings = lintSurroundings(route, around.objects, around.unread);
        known.set(name, { etag, findings });
      }
      return new Map([...known].map(([name, { findings }]) => [name, findings]));
    },
    looks: () => looks,
  };
}
