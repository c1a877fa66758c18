import type { RouteSpec, Shadow } from "../gen/weir/v1/route_pb.ts";

/** Header that marks shadow traffic with "true", where spec.shadow.modeHeader is absent. */
export const defaultModeHeader = "x-shadow-mode";
/** Header that names the kind of shadow traffic, where spec.shadow.tagHeader is absent. */
export const defaultTagHeader = "x-traffic-tag";

/** The headers of shadow traffic, as the route or its default names them. */
export function shadowHeaderNames(
  shadow: Pick<Shadow, "modeHeader" | "tagHeader"> | undefined,
): Pick<Shadow, "modeHeader" | "tagHeader"> {
  return {
    modeHeader: shadow?.modeHeader || defaultModeHeader,
    tagHeader: shadow?.tagHeader || defaultTagHeader,
  };
}

/** Headers that only Weir speaks in, in an answer a sign of a pod that pretends. */
export function shadowHeaders({ shadow }: Pick<RouteSpec, "shadow">): string[] {
  const { modeHeader, tagHeader } = shadowHeaderNames(shadow);
  return [modeHeader, tagHeader];
}
