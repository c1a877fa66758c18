import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";

/** What a proxy does with requests while a filter is away: answer 503, or let them through without it. */
export type FilterFailure = "refuse" | "pass";

/**
 * What holds for a filter that serves some routes: one VM serves them all, so the
 * strictest wins. Without any route nothing is let through.
 */
export function filterFailureOf(routes: readonly InferenceRoute[]): FilterFailure {
  return routes.length > 0 && routes.every(asksToPass) ? "pass" : "refuse";
}

/** Routes whose "pass" has no effect, each with a route beside it that does not say "pass". */
export function passInVain(
  routes: readonly InferenceRoute[],
): { route: InferenceRoute; beside: InferenceRoute }[] {
  const beside = routes.find((route) => !asksToPass(route));
  return beside === undefined ? [] : routes.filter(asksToPass).map((route) => ({ route, beside }));
}

function asksToPass({ spec }: InferenceRoute): boolean {
  return spec?.onFilterFailure === "pass";
}
