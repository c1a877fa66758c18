import { create } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { type RouteState, RouteStateSchema } from "../../gen/weir/v1/service_pb.ts";
import { passInVain, routeName } from "../../route/index.ts";
import { attachPoints, filteredAt } from "../attach.ts";
import type { RouteProblem } from "../problem.ts";
import { countedAt } from "../token-filter.ts";

/** Routes whose onFilterFailure "pass" has no effect beside another route's of the same attach point. */
export function checkFilterFailure(routes: readonly InferenceRoute[]): RouteProblem[] {
  const states = routes.map((route) => create(RouteStateSchema, { route }));
  const found = new Map<string, RouteProblem>();
  const routesOf = (served: RouteState[]) => served.flatMap(({ route }) => route ?? []);
  for (const point of attachPoints(states))
    for (const served of [filteredAt(point), countedAt(point)])
      for (const { beside, route } of passInVain(routesOf(served)))
        found.set(routeName(route), {
          route: routeName(route),
          code: "pass-has-no-effect",
          path: "spec.onFilterFailure",
          message: `onFilterFailure pass has no effect: ${routeName(beside)} at the same attach point has onFilterFailure refuse, and both share the filter`,
        });
  return [...found.values()];
}
