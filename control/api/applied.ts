import { create } from "@bufbuild/protobuf";
import { type Applied, AppliedSchema, type RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Sight } from "../peers/index.ts";
import { resourceTypes } from "../xds/index.ts";
import type { ApiContext, RenderedFilters } from "./context.ts";

/** How far the proxies are with one route as stored. */
export type AppliedOf = (name: string, state: RouteState) => Applied;

/**
 * Looks at the fleet once, to tell of any number of routes: a proxy has a route
 * when it acknowledged everything of a snapshot that holds the route as stored, and
 * its filters, where they report, report that snapshot's revision. Of the proxies
 * that Istio configures the report is all there is.
 */
export function appliedIn(
  context: Pick<ApiContext, "fleet" | "published" | "scope" | "mesh" | "peers">,
): AppliedOf {
  const own = sightsOf(context);
  const connected = new Set(own.map(({ node }) => node));
  // A proxy that came over from another replica may still be told of there.
  const others = context.peers.sights().filter(({ node }) => !connected.has(node));
  const proxies = [...own, ...others];
  const rendered = context.mesh?.();
  const elsewhere = new Set(others.map(({ node }) => node));
  const reporters = rendered
    ? context.fleet.reporters().filter(({ node }) => !elsewhere.has(node))
    : [];
  return (name, state) => {
    const namespace = name.split("/", 1)[0] ?? "";
    const wanted = proxies.filter(
      ({ scope: namespaces }) => namespaces.includes("*") || namespaces.includes(namespace),
    );
    const behind = wanted.flatMap(({ node, etags, lag }) => {
      const runs = etags?.get(name) === state.etag;
      const behind = runs || etags === undefined ? lag : { reason: "not pushed yet" };
      return behind === undefined ? [] : [{ node, refused: false, ...behind }];
    });
    const filters = rendered?.of(name);
    // Who reports what no route ever had may have this one in an older form.
    const meshed = reporters.filter(
      ({ revision }) =>
        filters && (filters.revisions.has(revision) || rendered?.knows(revision) === false),
    );
    for (const reporter of meshed) {
      const reason = filters && meshLag(reporter, filters, state.etag);
      if (reason) behind.push({ node: reporter.node, refused: false, reason });
    }
    const all = wanted.length + meshed.length;
    return create(AppliedSchema, { wanted: all, applied: all - behind.length, behind });
  };
}

/** This replica's own proxies. */
export function sightsOf({
  fleet,
  published,
  scope,
}: Pick<ApiContext, "fleet" | "published" | "scope">): Sight[] {
  return fleet.connectedNodes().map((node) => {
    const current = published(node);
    return { node, scope: scope(node), etags: current?.etags, lag: lagOf(node, fleet, current) };
  });
}

/** Reports come about once a second: for so long one may be missed. */
const silentMs = 10_000;

function meshLag(
  { revision, silentMs: forMs }: ReturnType<ApiContext["fleet"]["reporters"]>[number],
  filters: RenderedFilters,
  etag: string,
): string | undefined {
  if (filters.etag !== etag) return "not rendered yet";
  if (forMs > silentMs) return `has not reported for ${Math.round(forMs / 1000)} s`;
  return revision === filters.revision
    ? undefined
    : `reports revision ${revision}, not ${filters.revision}`;
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
