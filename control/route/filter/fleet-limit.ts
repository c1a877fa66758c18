import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { routeName } from "../names.ts";

/** Fleet-wide limits of the routes as they are now. */
export interface FleetLimits {
  /**
   * In requests per second: of a route ("namespace/name") and a tenant, empty for
   * those whom no one knows. Undefined where the route has no such limit or does
   * not know the tenant.
   */
  of(route: string, tenant: string): number | undefined;
  /** Takes the routes that hold from now on. */
  follow(states: readonly RouteState[]): void;
}

/** Makes limits that know no routes until follow is called. */
export function createFleetLimits(): FleetLimits {
  let routes = new Map<string, InferenceRoute>();
  return {
    of(name, tenant) {
      const limit = routes.get(name)?.spec?.rateLimit;
      if (limit === undefined) return undefined;
      if (tenant !== "" && !Object.hasOwn(limit.tenants, tenant)) return undefined;
      const tier = tenant === "" ? limit.default : limit.tenants[tenant];
      return tier === undefined ? undefined : limit.tiers[tier]?.requestsPerSecond;
    },
    follow(states) {
      routes = new Map(
        states.flatMap(({ route }) =>
          route?.spec?.rateLimit?.fleet ? [[routeName(route), route] as const] : [],
        ),
      );
    },
  };
}
