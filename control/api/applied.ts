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
}: Pick<ApiContext, "fleet" | "published">): AppliedOf {
  const current = published();
  const proxies = fleet.list().filter(({ connected }) => connected);
  const lags = proxies.flatMap((proxy) => {
    const lag = lagOf(proxy, fleet, current);
    return lag === undefined ? [] : [{ node: proxy.node, refused: false, ...lag }];
  });
  const inSync = { wanted: proxies.length, applied: proxies.length - lags.length, behind: lags };
  return (name, state) => {
    if (current?.etags.get(name) === state.etag) return create(AppliedSchema, inSync);
    const behind = proxies.map(({ node }) => ({ node, reason: "not pushed yet", refused: false }));
    return create(AppliedSchema, { wanted: proxies.length, applied: 0, behind });
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
