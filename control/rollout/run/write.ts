import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { draftRoute, sameRoute } from "../../route/index.ts";
import type { Author, Store } from "../../store/index.ts";
import { routeFor } from "../plan/route-for-step.ts";

/**
 * Stores a rollout's new state, with the weights that it means where a route is given.
 * @param before what the new state was made of; undefined for the first of a route
 * @throws StaleEtagError when rollout or route changed meanwhile
 */
export async function writeRollout(
  store: Store,
  name: string,
  before: RolloutState | undefined,
  after: RolloutState,
  route: RouteState | undefined,
  action: string,
  author: Author,
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
