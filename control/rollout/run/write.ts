import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { draftRoute, sameRoute } from "../../route/index.ts";
import type { Author, Store } from "../../store/index.ts";
import { routeFor } from "../plan/route-for-step.ts";

/** A new state of a rollout. */
export interface RolloutStep {
  /** What it was made of; undefined for the first of a route. */
  before: RolloutState | undefined;
  after: RolloutState;
  /** The route whose weights it may move; undefined where it moves none. */
  route: RouteState | undefined;
  /** What the audit calls it. */
  action: string;
  author: Author;
}

/**
 * Stores a rollout's new state, with the weights that it means where a route is given.
 * @throws StaleEtagError when rollout or route changed meanwhile
 */
export async function writeRollout(
  store: Store,
  name: string,
  { before, after, route, action, author }: RolloutStep,
): Promise<RolloutState> {
  const wanted = route?.route ? routeFor(after, route.route) : undefined;
  const moves = route && wanted && !sameRoute(route.route, wanted);
  const { rollout } = await store.putRollout(
    name,
    {
      rollout: after,
      etag: before?.etag ?? "0",
      ...(moves ? { route: { draft: draftRoute(wanted, route), etag: route.etag } } : {}),
    },
    action,
    author,
  );
  return rollout;
}
