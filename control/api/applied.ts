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
  scope,
}: Pick<ApiContext, "fleet" | "published" | "scope">): AppliedOf {
  const proxies = fleet
    .list()
    .filter(({ connected }) => connected)
    .map((proxy) => {
      const current = published(proxy.node);
      const lag = lagOf(proxy, fleet, current);
      return { node: proxy.node, scope: scope(proxy.node), etags: current?.etags, lag };
    });
  return (name, state) => {
    const namespace = name.split("/", 1)[0] ?? "";
    const wanted = proxies.filter(
      ({ scope: namespaces }) => namespaces.includes("*") || namespaces.includes(namespace),
    );
    const behind = wanted.flatMap(({ node, etags, lag }) => {
      const reason = etags?.get(name) === state.etag ? lag : "not pushed yet";
      return reason === undefined ? [] : [{ node, reason }];
    });
    return create(AppliedSchema, {
      wanted: wanted.length,
      applied: wanted.length - behind.length,
      behind,
    });
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
