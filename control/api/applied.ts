import { create } from "@bufbuild/protobuf";
import {
  type Applied,
  AppliedSchema,
  type Proxy,
  type RouteState,
} from "../gen/weir/v1/service_pb.ts";
import { resourceTypes } from "../xds/index.ts";
import type { ApiContext } from "./context.ts";

/** How far the proxies are with one route as stored. */
export type AppliedOf = (name: string, state: RouteState) => Applied;

/**
 * Looks at the fleet once, to tell of any number of routes: a proxy has a route
 * when it acknowledged everything of a snapshot that holds the route as stored.
 */
export function appliedIn({
  fleet,
  published,
}: Pick<ApiContext, "fleet" | "published">): AppliedOf {
  const current = published();
  const proxies = fleet.list().filter(({ connected }) => connected);
  const lags = proxies.flatMap((proxy) => {
    const reason = lagOf(proxy, fleet, current);
    return reason === undefined ? [] : [{ node: proxy.node, reason }];
  });
  const inSync = { wanted: proxies.length, applied: proxies.length - lags.length, behind: lags };
  return (name, state) => {
    if (current?.etags.get(name) === state.etag) return create(AppliedSchema, inSync);
    const behind = proxies.map(({ node }) => ({ node, reason: "not pushed yet" }));
    return create(AppliedSchema, { wanted: proxies.length, applied: 0, behind });
  };
}

function lagOf(
  proxy: Proxy,
  fleet: ApiContext["fleet"],
  current: ReturnType<ApiContext["published"]>,
): string | undefined {
  if (current === undefined) return "not pushed yet";
  const refused = proxy.resources.find(({ nackMessage }) => nackMessage !== "");
  if (refused) return `${refused.type} refused: ${refused.nackMessage}`;
  const waiting = resourceTypes.find(
    ({ name: type }) => !fleet.runs(proxy.node, type, current.snapshot[type].version),
  );
  return waiting ? `waiting for ${waiting.name}` : undefined;
}
