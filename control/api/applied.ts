import { create } from "@bufbuild/protobuf";
import { type Applied, AppliedSchema, type RouteState } from "../gen/weir/v1/service_pb.ts";
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
  const proxies = fleet.connectedNodes().map((node) => {
    const current = published(node);
    return { node, scope: scope(node), etags: current?.etags, lag: lagOf(node, fleet, current) };
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
  node: string,
  fleet: ApiContext["fleet"],
  current: ReturnType<ApiContext["published"]>,
): { reason: string; refused?: true } | undefined {
  if (current === undefined) return { reason: "not pushed yet" };
  // What was refused before the newest answer is no longer what the proxy is asked to run.
  const refused = fleet.refusal(node);
  if (refused) return { reason: `${refused.type} refused: ${refused.message}`, refused: true };
  const first = current.refused();
  if (first && first.node !== node)
    return { reason: `not sent to it: ${first.node} refused ${first.type}: ${first.message}` };
  const waiting = resourceTypes.find(
    // Of what there is nothing no proxy asks.
    ({ name: type }) =>
      current.snapshot[type].resources.size > 0 &&
      !fleet.runs(node, type, current.snapshot[type].version),
  );
  if (waiting) return { reason: `waiting for ${waiting.name}` };
  // Filters that report say what they run, which is more than an acknowledgement.
  const reported = fleet.reportedRevision(node);
  if (reported !== "" && reported !== current.revision)
    return { reason: `reports revision ${reported}, not ${current.revision}` };
  return undefined;
}
