import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { KubernetesObject } from "../../objects/index.ts";
import { fullObjectName } from "../../objects/index.ts";
import type { Report } from "../../route/index.ts";
import { defined, type Manifest, type Origin } from "../manifest.ts";
import { isEveryPath } from "./every-path.ts";
import { fullHost, gatewaysOf } from "./full-name.ts";
import { reportLosses } from "./losses.ts";

/** One http rule as Istio has it. */
type HttpRule = JsonObject & { name?: string; match?: JsonObject[]; route?: JsonObject[] };

/** Fields of a catch-all rule that Weir's own rules take the place of. */
const replaced = new Set([
  "name",
  "match",
  "route",
  "retries",
  "mirror",
  "mirrors",
  "mirrorPercent",
  "mirrorPercentage",
]);

/** Fields that Weir writes itself. */
const written = new Set([...replaced, "timeout", "fault", "headers"]);

/** Remembers, for the next merge, what a catch-all rule had before Weir took its place. */
const keptAnnotation = "weir.dev/kept";

/**
 * Weir's rules in an existing VirtualService: where they were before, else in
 * the place of the rule that takes every request. Specific rules stay before
 * them, what the catch-all rule had besides stays with each of them.
 */
export function mergeVirtualService(
  manifest: Manifest,
  existing: KubernetesObject,
  route: string,
  report: Report,
  lose: Report,
): Manifest {
  const { metadata, spec } = manifest.object;
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
  const own = rules.map((rule) => String(rule.name ?? "").startsWith(`${route}/`));
  const foreign = rules.filter((_, index) => !own[index]);
  const catchAll = own.includes(true) ? -1 : foreign.findIndex(takesAll);
  const at = own.includes(true) ? own.indexOf(true) : catchAll >= 0 ? catchAll : foreign.length;
  const service = serviceHosts(spec, metadata.namespace);
  const taken = foreign[catchAll] ?? recalled(existing);
  if (catchAll >= 0 && taken && !leadsTo(taken, service, existing.metadata.namespace)) {
    const message = `rule ${catchAll + 1} of VirtualService ${name} matches every request and routes elsewhere; weir's rules would never be reached, or would replace it: remove it or give it a narrower match`;
    report("merge-catch-all", "spec.hosts", message);
  }
  const sameNamespace = existing.metadata.namespace === metadata.namespace;
  const kept = taken && keptOf(taken);
  const mine = ((spec.http ?? []) as HttpRule[]).map((rule) => ({
    ...unknownOf(rules.find(({ name }) => name === rule.name)),
    ...inherit(sameNamespace ? rule : qualified(rule, metadata.namespace), kept),
  }));
  const rest = foreign.filter((_, index) => index !== catchAll);
  // Istio takes the first rule that matches.
  for (const rule of rest.slice(0, at))
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
  if (catchAll >= 0 && taken) reportTaken(taken, mine.at(-1) ?? {}, `http[${catchAll}]`, lose);
  return {
    object: {
      ...manifest.object,
      metadata: {
        ...metadata,
        annotations: {
          ...metadata.annotations,
          ...(kept && Object.keys(kept).length > 0
            ? { [keptAnnotation]: JSON.stringify(kept) }
            : {}),
        },
      },
      spec: defined({
        ...(there as JsonObject),
        hosts: spec.hosts,
        gateways: sameNamespace || spec.gateways === undefined ? spec.gateways : gateways,
        ...(spec.exportTo === undefined ? {} : { exportTo: spec.exportTo }),
        http: [...rest.slice(0, at), ...mine, ...rest.slice(at)],
      }),
    },
    origins: [
      ...manifest.origins.map((origin) => moved(origin, at)),
      ...rest.map((_, index) => ({
        path: ["spec", "http", index < at ? index : index + mine.length],
        text: `kept from VirtualService ${name}`,
      })),
    ],
  };
}

function takesAll({ match }: HttpRule): boolean {
  return (
    match === undefined ||
    match.length === 0 ||
    match.some((each) => {
      const uri = each.uri as JsonObject | undefined;
      const fields = Object.keys(each).filter(
        (field) => !["name", "ignoreUriCase"].includes(field),
      );
      const everyPath = uri?.prefix === "/" || isEveryPath(uri?.regex);
      return fields.length === 0 || (fields.length === 1 && everyPath);
    })
  );
}

function serviceHosts(spec: JsonObject, namespace: string): Set<string> {
  const rules = (spec.http ?? []) as HttpRule[];
  return new Set(rules.flatMap(destinationsOf).map(({ host }) => fullHost(host, namespace)));
}

function destinationsOf(rule: HttpRule): JsonObject[] {
  return (rule.route ?? []).map(({ destination }) => (destination ?? {}) as JsonObject);
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

/** Settings of a replaced rule that Weir's rules do not have. */
function reportTaken(taken: HttpRule, mine: HttpRule, path: string, lose: Report): void {
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

/** What a replaced catch-all rule had besides its destinations; mirrors in the words of the list. */
function keptOf(from: HttpRule): JsonObject {
  const kept = Object.fromEntries(Object.entries(from).filter(([field]) => !replaced.has(field)));
  const mirrors = mirrorsOf(from);
  return mirrors.length > 0 ? { ...kept, mirrors } : kept;
}

/** What an earlier merge kept: from the annotation that it wrote. */
function recalled({ metadata }: KubernetesObject): HttpRule | undefined {
  try {
    return JSON.parse(metadata.annotations?.[keptAnnotation] ?? "null") ?? undefined;
  } catch {
    // Edited by hand into something else: nothing to recall.
    return undefined;
  }
}

/** Fields that somebody added to one of Weir's rules and that Weir never writes. */
function unknownOf(rule: HttpRule | undefined): JsonObject {
  return Object.fromEntries(Object.entries(rule ?? {}).filter(([field]) => !written.has(field)));
}

/** What was kept stays with the rules in its place. */
function inherit(rule: HttpRule, kept: JsonObject | undefined): HttpRule {
  if (kept === undefined) return rule;
  const mirrors = [
    ...((rule.mirrors as JsonObject[] | undefined) ?? []),
    ...((kept.mirrors as JsonObject[] | undefined) ?? []),
  ];
  return defined({
    ...kept,
    ...rule,
    headers: joined(kept.headers, rule.headers),
    mirrors: mirrors.length > 0 ? mirrors : undefined,
  });
}

/** Converts the old single mirror to an entry of the list. */
function mirrorsOf(rule: HttpRule): JsonObject[] {
  const { mirror, mirrorPercent, mirrorPercentage } = rule;
  if (mirror === undefined) return (rule.mirrors as JsonObject[] | undefined) ?? [];
  const percent =
    mirrorPercentage ?? (typeof mirrorPercent === "number" ? { value: mirrorPercent } : undefined);
  return [defined({ destination: mirror, percentage: percent })];
}

/** Merges the members of both; lists without duplicates, and the later value if both set it. */
function joined(a: JsonValue | undefined, b: JsonValue | undefined): JsonValue | undefined {
  if (a === undefined || b === undefined) return b ?? a;
  if (Array.isArray(a) && Array.isArray(b)) return [...new Set([...a, ...b])];
  if (!isObject(a) || !isObject(b)) return b;
  const out: JsonObject = { ...a };
  for (const [name, value] of Object.entries(b)) out[name] = joined(a[name], value) ?? value;
  return out;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A short host means the VirtualService's own namespace: in another it must be written out. */
function qualified(rule: HttpRule, namespace: string): HttpRule {
  const place = (target: JsonObject): JsonObject => {
    const destination = target.destination as JsonObject;
    return {
      ...target,
      destination: { ...destination, host: fullHost(destination.host, namespace) },
    };
  };
  return defined({
    ...rule,
    route: rule.route?.map(place),
    mirrors: (rule.mirrors as JsonObject[] | undefined)?.map(place),
  });
}

function moved(origin: Origin, by: number): Origin {
  const [spec, http, index, ...rest] = origin.path;
  return spec === "spec" && http === "http" && typeof index === "number"
    ? { ...origin, path: [spec, http, index + by, ...rest] }
    : origin;
}
