import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { defaultNamespace } from "./names.ts";

/** A Service by its full name, whatever the cluster calls its domain. */
const fullName = /^([^.*]+)\.([^.]+)\.svc\.(.+)$/;
/** Filters take so many hosts of one route. */
const maxHosts = 64;

/**
 * The hosts of each route, and under what other names the sidecars of a namespace
 * send requests to it: Istio puts the short names of a Service into the virtual
 * host of its full one (pilot/pkg/networking/core, generateVirtualHostDomains). A
 * name that two routes could mean, or that one has written down, is added to none.
 * @param namespace of the sidecars, who alone say a bare name
 */
export function meshHosts(
  states: readonly RouteState[],
  namespace: string,
): Map<RouteState, string[]> {
  const written = new Set(states.flatMap(({ route }) => route?.spec?.hosts ?? []));
  const added = new Map(states.map((state) => [state, otherNames(state, namespace)]));
  /** What the routes that have a name mean by it: those that share a host mean the same. */
  const meanings = new Map<string, Set<string>>();
  for (const names of added.values())
    for (const [name, meant] of names)
      meanings.set(name, (meanings.get(name) ?? new Set()).add([...meant].sort().join()));
  return new Map(
    [...added].map(([state, names]) => {
      const hosts = state.route?.spec?.hosts ?? [];
      const isClear = (name: string) => meanings.get(name)?.size === 1 && !written.has(name);
      const more = [...names.keys()].filter(isClear);
      return [state, [...hosts, ...more].slice(0, Math.max(hosts.length, maxHosts))];
    }),
  );
}

/** The other names of a route's hosts, each with the hosts that it stands for, as written and in full. */
function otherNames({ route }: RouteState, namespace: string): Map<string, Set<string>> {
  const own = route?.metadata?.namespace || defaultNamespace;
  const names = new Map<string, Set<string>>();
  for (const host of route?.spec?.hosts ?? []) {
    // Istio reads a bare name as a Service beside the VirtualService.
    const full = /^[^.*]+$/.test(host) ? `${host}.${own}.svc.cluster.local` : host;
    const [, service, of] = fullName.exec(full) ?? [];
    if (service === undefined || of === undefined) continue;
    const short = [full, `${service}.${of}.svc`, `${service}.${of}`];
    for (const name of of === namespace ? [...short, service] : short)
      names.set(name, (names.get(name) ?? new Set()).add(`${host} ${full}`));
  }
  for (const host of route?.spec?.hosts ?? []) names.delete(host);
  return names;
}
