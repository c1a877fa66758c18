import type { JsonObject } from "@bufbuild/protobuf";
import { fullObjectName, type KubernetesObject } from "../../objects/index.ts";
import type { Report } from "../../route/index.ts";
import type { K8sObject } from "../manifest.ts";
import { fullHost, gatewaysOf } from "./full-name.ts";
import { destinationsOf, type HttpRule, mirrorsOf, type Place } from "./http-rules.ts";
import { reportLosses } from "./losses.ts";

/** Reports what an existing VirtualService does besides, and what would take requests past Weir's rules. */
export function reportConflicts(
  { metadata, spec }: K8sObject,
  existing: KubernetesObject,
  { at, others, catchAll }: Place,
  report: Report,
): void {
  const there = existing.spec ?? {};
  const name = fullObjectName(existing);
  const hosts = (spec.hosts ?? []) as string[];
  const otherHosts = ((there.hosts ?? []) as string[]).filter((host) => !hosts.includes(host));
  if (otherHosts.length > 0)
    report(
      "merge-other-hosts",
      "spec.hosts",
      `VirtualService ${name} also answers for ${otherHosts.join(", ")}: add them to hosts, or split it first`,
    );
  const gateways = gatewaysOf(spec.gateways, metadata.namespace);
  const otherGateways = gatewaysOf(there.gateways, existing.metadata.namespace).filter(
    (gateway) => !gateways.includes(gateway),
  );
  if (otherGateways.length > 0)
    report(
      "merge-other-gateways",
      "spec.gateways",
      `VirtualService ${name} is also bound to ${otherGateways.join(", ")}: add them to gateways, or split it first`,
    );
  const rules = (there.http ?? []) as HttpRule[];
  const service = serviceHosts(spec, metadata.namespace);
  const taken = rules[catchAll];
  if (taken && !leadsTo(taken, service, existing.metadata.namespace)) {
    const message = `rule ${catchAll + 1} of VirtualService ${name} matches every request and routes elsewhere; weir's rules would never be reached, or would replace it: remove it or give it a narrower match`;
    report("merge-catch-all", "spec.hosts", message);
  }
  // Istio takes the first rule that matches.
  for (const rule of others.slice(0, at))
    if (leadsToSome(rule, service, existing.metadata.namespace))
      report(
        "merge-shadowed",
        "spec.hosts",
        `rule ${rules.indexOf(rule) + 1} of VirtualService ${name} (${described(rule)}) routes to the same Service before weir's rules: its requests would reach pods of any variant without limits; delete the rule, or let it lead elsewhere`,
      );
  for (const kind of ["tls", "tcp"])
    for (const rule of (there[kind] ?? []) as HttpRule[])
      if (leadsToSome(rule, service, existing.metadata.namespace))
        report(
          "merge-shadowed",
          "spec.hosts",
          `a ${kind} rule of VirtualService ${name} routes to the same Service and bypasses weir's rules: delete it, or let it lead elsewhere`,
        );
}

/** Settings of a replaced rule that Weir's rules do not have. */
export function reportTaken(taken: HttpRule, mine: HttpRule, path: string, lose: Report): void {
  const { match: _, name: __, route, mirror, mirrorPercent, mirrorPercentage, ...rest } = taken;
  const mirrors = mirrorsOf(taken);
  reportLosses({ ...rest, ...(mirrors.length > 0 ? { mirrors } : {}) }, mine, path, lose);
  (route ?? []).forEach(({ destination, weight, ...more }, index, all) => {
    const at = `${path}.route[${index}]`;
    reportLosses(more, {}, at, lose);
    const host = JSON.stringify((destination as JsonObject | undefined)?.host);
    if (all.length > 1)
      lose(
        "merge-loss",
        `spec.${at}.weight`,
        `${at}: weight ${weight ?? 0} to ${host} is replaced by the variants' weights`,
      );
  });
}

function serviceHosts(spec: JsonObject, namespace: string): Set<string> {
  const rules = (spec.http ?? []) as HttpRule[];
  return new Set(rules.flatMap(destinationsOf).map(({ host }) => fullHost(host, namespace)));
}

/** Whether all destinations are hosts that Weir's own rules lead to, by any of their names. */
function leadsTo(rule: HttpRule, hosts: Set<string>, namespace: string | undefined): boolean {
  const destinations = destinationsOf(rule);
  return (
    destinations.length > 0 &&
    destinations.every(({ host }) => hosts.has(fullHost(host, namespace)))
  );
}

function leadsToSome(rule: HttpRule, hosts: Set<string>, namespace: string | undefined): boolean {
  return destinationsOf(rule).some(({ host }) => hosts.has(fullHost(host, namespace)));
}

/** A rule by its name, else by what it matches. */
function described({ match, name }: HttpRule): string {
  return name ? String(name) : JSON.stringify(match ?? "every request");
}
