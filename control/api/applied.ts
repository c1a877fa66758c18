import { create } from "@bufbuild/protobuf";
import { type Applied, AppliedSchema, type RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Lag, ProxyView, Refused } from "../peers/index.ts";
import { type Member, resourceTypes } from "../xds/index.ts";
import type { ApiContext, RenderedFilters } from "./context.ts";
import { principalSees, type Sees, seesAll, withheld } from "./visible.ts";

/** How far the proxies are with one route as stored. */
export type AppliedOf = (name: string, state: RouteState) => Applied;

/** What routes are compared with. */
export type AppliedContext = Pick<ApiContext, "fleet" | "published" | "mesh" | "spoken" | "peers">;

/** How far the proxies are, limited to what the principal of the request may see. */
export const appliedForPrincipal = (context: AppliedContext): AppliedOf =>
  appliedIn(context, principalSees());

/**
 * Looks at the fleet once, so that any number of routes can be compared with it: a proxy has a
 * route when it acknowledged everything of a snapshot that holds the route as stored, and its
 * filters, where they report, report that snapshot's revision. For proxies that Istio configures,
 * the report alone counts.
 */
export function appliedIn(
  context: AppliedContext,
  /** What the reader of a route may see. */
  sees: (namespace: string, route: string) => boolean,
): AppliedOf {
  const own = sightsOf(context);
  const connected = new Set(own.map(({ node }) => node));
  // Another replica may still list a proxy that has moved to this one.
  const others = context.peers.proxyViews().filter(({ node }) => !connected.has(node));
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
    const behind = wanted.flatMap(({ node, scope, etags, held, lag }) => {
      const runs = etags?.get(name) === state.etag;
      const by = held?.get(name);
      const behind =
        runs || etags === undefined
          ? lag
          : keptBack(node, scope, by?.etag === state.etag ? by : undefined, lag);
      return behind === undefined ? [] : [visibleLag(node, behind, (each) => sees(each, name))];
    });
    const filters = rendered?.of(name);
    // A reporter with an unknown revision may run an older version of this route, if it reports on its namespace.
    const meshed = reporters.filter(
      ({ node, revision }) =>
        filters &&
        (filters.revisions.has(revision) ||
          (rendered?.knows(revision) === false &&
            context.spoken?.(node)?.has(namespace) !== false)),
    );
    for (const reporter of meshed) {
      const reason = filters && meshLag(reporter, filters, state.etag);
      if (reason)
        behind.push({ node: reporter.node, refused: false, refusedBefore: false, reason });
    }
    const all = wanted.length + meshed.length;
    return create(AppliedSchema, { wanted: all, applied: all - behind.length, behind });
  };
}

/** A lag as the reader may see it. */
function visibleLag(node: string, lag: Lag, sees: Sees) {
  const { reason, refused = false, refusedBefore = false, brief, concerns = [] } = lag;
  const open = brief === undefined || seesAll(sees, concerns);
  return { node, refused, refusedBefore, reason: open ? reason : brief };
}

/** Why a proxy is not sent a route as stored: it, or one before it of its namespaces, refused that. */
function keptBack(
  node: string,
  scope: readonly string[],
  by: Refused | undefined,
  lag: Lag | undefined,
): Lag {
  // Its own refusal explains more.
  if (by?.node !== node && lag?.refusedBefore) return lag;
  if (by === undefined) return { reason: "not pushed yet" };
  const { type, message } = by;
  if (by.node === node) return refusal(type, message, scope);
  return {
    reason: `not sent: ${by.node} refused ${type}: ${message}`,
    brief: `not sent: another proxy that got it first refused ${type}`,
    concerns: scope,
  };
}

function refusal(type: string, message: string, scope: readonly string[]): Lag {
  return {
    reason: `${type} refused: ${message}`,
    brief: `${type} refused: ${withheld}`,
    concerns: scope,
    refused: true,
  };
}

/** This replica's own proxies. */
export function sightsOf({
  fleet,
  published,
}: Pick<ApiContext, "fleet" | "published">): ProxyView[] {
  return fleet.members().map((member) => {
    const { node, scope } = member;
    const current = published(scope);
    return {
      node,
      scope,
      etags: current?.etags,
      held: current?.held,
      lag: lagOf(member, current),
    };
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

function lagOf(member: Member, current: ReturnType<ApiContext["published"]>): Lag | undefined {
  if (current === undefined) return { reason: "not pushed yet" };
  // What was refused before the newest answer is no longer what the proxy is asked to run.
  const no = member.refusal();
  if (no) {
    const since = no.before ? ` (since ${no.since.toISOString()})` : "";
    return {
      ...refusal(no.type, `${no.message}${since}`, member.scope),
      refusedBefore: no.before,
    };
  }
  const waiting = resourceTypes.find(({ name: type }) => {
    const { resources, version } = current.snapshot[type];
    // Proxies never subscribe to types without resources, so an empty type cannot be waited for.
    return resources.size > 0 && member.answer(type, version).state !== "runs";
  });
  if (waiting) return { reason: `waiting for ${waiting.name}` };
  // A report names the revision that the filters run, which proves more than an acknowledgement.
  const reported = member.reportedRevision();
  if (reported !== "" && reported !== current.revision)
    return { reason: `reports revision ${reported}, not ${current.revision}` };
  return undefined;
}
