import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import type { Registry } from "./registry.ts";

/** A route with the pods that registered among its endpoints, for those who ask the pods themselves. */
export function withPods(state: RouteState, { ready }: Pick<Registry, "ready">): RouteState {
  const { route } = state;
  const { spec } = route ?? {};
  if (!route || !spec?.variants.some(({ register }) => register)) return state;
  const variants = spec.variants.map((variant) => {
    const pods = variant.register ? ready(routeName(route), variant.name) : [];
    const addresses = (pods ?? []).map(({ address }) => address);
    return { ...variant, endpoints: [...variant.endpoints, ...addresses] };
  });
  return { ...state, route: { ...route, spec: { ...spec, variants } } };
}
