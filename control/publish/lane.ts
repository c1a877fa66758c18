import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Refusal } from "../xds/index.ts";
import { type Held, namesThatDiffer, type Routes, withRoute } from "./edition.ts";
import { createHistory } from "./history.ts";

/** A refusal, and the etag of the state that was refused; empty where that was a deletion. */
export type Refused = Refusal & { etag: string };

/** What is known of a route beside its state. */
export interface Standing {
  /** A rollout is giving the canary's users back. */
  returning: boolean;
  /** A rollout moves its weights. */
  walking: boolean;
}

/** One step from what runs in a scope towards what is stored. */
export interface Step {
  routes: Routes;
  /** Whether one proxy tries it first; false for a rollback, which waits for no proxy. */
  tried: boolean;
}

/** What happens to the routes of one scope: which are held, and what ran. */
export interface Lane {
  /**
   * The way from what runs to what is stored, in one or two steps: what leads
   * back comes first, so that it does not wait for the rest.
   * @param ran undefined before anything ran
   */
  stepsTo(stored: Routes, ran: Routes | undefined, standing: (name: string) => Standing): Step[];
  /** Holds these states back until they are replaced or the proxy that rejected them has left. */
  hold(held: ReadonlyMap<string, Held>): void;
  /** Who refused what is held, by name of the route; another map whenever that changes. */
  refusals(): ReadonlyMap<string, Refused>;
  /** Forgets what is held of routes that have changed, or was refused by one that is not there any more. */
  release(stored: Routes, isThere: (node: string) => boolean): void;
  /** Other routes are for all proxies of the scope now; those before ran. */
  settled(routes: Routes, before: Routes | undefined): void;
}

export function createLane(): Lane {
  let held: ReadonlyMap<string, Held> = new Map();
  let refusals: ReadonlyMap<string, Refused> = new Map();
  const history = createHistory();

  function keep(all: ReadonlyMap<string, Held>): void {
    held = all;
    refusals = new Map([...all].map(([name, { refusal, etag }]) => [name, { ...refusal, etag }]));
  }

  return {
    stepsTo(stored, ran, standing) {
      let wanted = stored;
      for (const [name, { instead }] of held) wanted = withRoute(wanted, name, instead);
      if (ran === undefined) return [{ routes: wanted, tried: false }];
      const changed = namesThatDiffer(ran, wanted);
      const back = changed.filter((name) => leadsBack(name, ran.get(name), wanted.get(name)));
      if (back.length === 0) return [{ routes: wanted, tried: true }];
      if (back.length === changed.length) return [{ routes: wanted, tried: false }];
      let first = ran;
      for (const name of back) first = withRoute(first, name, wanted.get(name));
      return [
        { routes: first, tried: false },
        { routes: wanted, tried: true },
      ];

      function leadsBack(
        name: string,
        before: RouteState | undefined,
        after: RouteState | undefined,
      ): boolean {
        if (after === undefined) return false;
        const { returning, walking } = standing(name);
        return returning || history.leadsBack(name, before, after, !walking);
      }
    },
    hold(more) {
      keep(new Map([...held, ...more]));
    },
    refusals: () => refusals,
    release(stored, isThere) {
      const kept = [...held].filter(
        ([name, { etag, refusal }]) =>
          (stored.get(name)?.etag ?? "") === etag && isThere(refusal.node),
      );
      if (kept.length < held.size) keep(new Map(kept));
    },
    settled(routes, before) {
      for (const name of namesThatDiffer(before ?? routes, routes))
        history.ran(name, before?.get(name), routes.has(name));
    },
  };
}
