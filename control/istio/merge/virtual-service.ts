import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { fullObjectName, type KubernetesObject } from "../../objects/index.ts";
import type { Report } from "../../route/index.ts";
import { defined, type Manifest, type Origin } from "../manifest.ts";
import { reportConflicts, reportTaken } from "./conflicts.ts";
import { fullHost, gatewaysOf } from "./full-name.ts";
import { type HttpRule, mirrorsOf, placeAmong } from "./http-rules.ts";

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
  const rules = (there.http ?? []) as HttpRule[];
  const place = placeAmong(rules, route);
  const { at, others, catchAll } = place;
  const taken = rules[catchAll] ?? recalled(existing);
  const sameNamespace = existing.metadata.namespace === metadata.namespace;
  const kept = taken && keptOf(taken);
  const mine = ((spec.http ?? []) as HttpRule[]).map((rule) => ({
    ...unknownOf(rules.find(({ name }) => name === rule.name)),
    ...inherit(sameNamespace ? rule : qualified(rule, metadata.namespace), kept),
  }));
  reportConflicts(manifest.object, existing, place, report);
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
        gateways:
          sameNamespace || spec.gateways === undefined
            ? spec.gateways
            : gatewaysOf(spec.gateways, metadata.namespace),
        ...(spec.exportTo === undefined ? {} : { exportTo: spec.exportTo }),
        http: [...others.slice(0, at), ...mine, ...others.slice(at)],
      }),
    },
    origins: [
      ...manifest.origins.map((origin) => moved(origin, at)),
      ...others.map((_, index) => ({
        path: ["spec", "http", index < at ? index : index + mine.length],
        text: `kept from VirtualService ${name}`,
      })),
    ],
  };
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
