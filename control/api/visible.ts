import { create, equals } from "@bufbuild/protobuf";
import { may } from "../auth/index.ts";
import { type Proxy, ProxySchema } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import { principal } from "./access.ts";
import type { ApiContext } from "./context.ts";
import { wholeFleet } from "./whole-fleet.ts";

/** Whether the reader of a response may see a namespace; "*" means all, including future ones. */
export type Sees = (namespace: string) => boolean;

/** What the principal of the request may see. */
export function principalSees(): Sees {
  const who = principal();
  return (namespace) => may(who, "viewer", namespace);
}

/** A key for what the principal of the request may see; equal for principals with equal rights. */
export function principalView(): string {
  const sees = principalSees();
  if (sees("*")) return "*";
  const named = principal().grants.flatMap(({ namespaces }) => namespaces);
  return [...new Set(named)].filter(sees).sort().join();
}

/** Whether the principal of the request may see a route, by its name. */
export function principalSeesRoute(): (name: string) => boolean {
  const sees = principalSees();
  return (name) => sees(name.split("/", 1)[0] ?? "");
}

/** Replaces a proxy's message when it may name namespaces that the reader may not see. */
export const withheld = "its message is shown only to viewers of all its namespaces";

/** Whether the reader may see all namespaces of a proxy, and so its messages. */
export function seesAll(sees: Sees, scope: readonly string[]): boolean {
  return scope.every(sees);
}

/** Whether the proxy serves a namespace that may be seen. */
function serves(sees: Sees, scope: readonly string[]): boolean {
  return scope.includes("*") || scope.some(sees);
}

/**
 * The proxies that serve a namespace which the principal may see. Of one that serves
 * others as well, the caller sees what it runs, but not its messages. One that Istio
 * configures is there for those who may see a route that it reports.
 */
export async function visibleFleet(
  context: Pick<ApiContext, "fleet" | "peers" | "mesh" | "scope" | "store">,
): Promise<Proxy[]> {
  const all = wholeFleet(context);
  const sees = principalSees();
  if (sees("*")) return all;
  const elsewhere = new Map(context.peers.proxyViews().map(({ node, scope }) => [node, scope]));
  const { routes } = await context.store.list();
  const rendered = context.mesh?.();
  const names = routes.flatMap(({ route }) => (route ? [routeName(route)] : []));
  const known = names.map((name) => rendered?.of(name)?.revisions ?? new Set<string>());
  return all.flatMap((proxy) => {
    const scope = elsewhere.get(proxy.node) ?? context.scope(proxy.node);
    if (scope.length === 0)
      return known.some((revisions) => revisions.has(proxy.reportedRevision)) ? [proxy] : [];
    if (!serves(sees, scope)) return [];
    return [seesAll(sees, scope) ? proxy : withoutWords(proxy)];
  });
}

/** Whether two lists of proxies are equal. */
export function sameFleet(one: readonly Proxy[], other: readonly Proxy[]): boolean {
  const same = (proxy: Proxy, i: number) => equals(ProxySchema, proxy, other[i] as Proxy);
  return one.length === other.length && one.every(same);
}

function withoutWords(proxy: Proxy): Proxy {
  return create(ProxySchema, {
    ...proxy,
    resources: proxy.resources.map((resource) => ({
      ...resource,
      nackMessage: resource.nackMessage === "" ? "" : withheld,
    })),
  });
}
