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
 * when it acknowledged everything of a snapshot that holds the route as stored, and
 * its filters, where they report, report that snapshot's revision.
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
      const behind = etags?.get(name) === state.etag ? lag : { reason: "not pushed yet" };
      return behind === undefined ? [] : [{ node, refused: false, ...behind }];
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
): { reason: string; refused?: true } | undefined {
  if (current === undefined) return { reason: "not pushed yet" };
  const refused = proxy.resources.find(
    // What was refused before the newest answer is no longer what the proxy is asked to run.
    ({ nackMessage, nackedVersion, sentVersion }) =>
      nackMessage !== "" && nackedVersion === sentVersion,
  );
  if (refused) return { reason: `${refused.type} refused: ${refused.nackMessage}`, refused: true };
  const first = current.refused();
  if (first && first.node !== proxy.node)
    return { reason: `not sent to it: ${first.node} refused ${first.type}: ${first.message}` };
  const waiting = resourceTypes.find(
    // Of what there is nothing no proxy asks.
    ({ name: type }) =>
      current.snapshot[type].resources.size > 0 &&
      !fleet.runs(proxy.node, type, current.snapshot[type].version),
  );
  if (waiting) return { reason: `waiting for ${waiting.name}` };
  // Filters that report say what they run, which is more than an acknowledgement.
  if (proxy.reportedRevision !== "" && proxy.reportedRevision !== current.revision)
    return { reason: `reports revision ${proxy.reportedRevision}, not ${current.revision}` };
  return undefined;
}
