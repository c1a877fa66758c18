import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { KubernetesObject } from "../../objects/index.ts";
import { fullObjectName, objectNamespace } from "../../objects/index.ts";
import type { Report } from "../../route/index.ts";
import { defaultNamespace } from "../../route/index.ts";
import { defined, type Manifest } from "../manifest.ts";
import { isEveryPath } from "./every-path.ts";
import { inheritFilters } from "./inherit-filters.ts";
import { reportLosses } from "./losses.ts";

/** Rules of one HTTPRoute (its CRD). */
const maxRules = 16;

/**
 * Weir's rules in an existing HTTPRoute: in the place of the rule that takes every
 * request. The parents stay as they are written (sectionName, port), other rules stay,
 * and what the replaced rule had besides its backends stays with each of Weir's.
 */
export function mergeHttpRoute(
  manifest: Manifest,
  existing: KubernetesObject,
  report: Report,
  lose: Report,
): Manifest {
  const { metadata, spec } = manifest.object;
  const there = (existing.spec ?? {}) as JsonObject;
  const namespace = objectNamespace(existing);
  const name = fullObjectName(existing);
  checkHosts(there, spec, name, report);
  const parents = mergeParents(manifest, there, namespace, name, report);

  const mine = listOf(spec.rules);
  const rules = listOf(there.rules);
  const backends = new Set(mine.flatMap((rule) => backendsOf(rule, metadata.namespace)));
  const isOwn = (rule: JsonObject) => mine.some((each) => isAlike(each, rule, backends, namespace));
  const foreign = rules.filter((rule) => !isOwn(rule));
  const catchAll = foreign.find((rule) => matchesOf(rule) === "");
  const others = foreign.filter((rule) => rule !== catchAll);
  if (catchAll && !backendsOf(catchAll, namespace).every((each) => backends.has(each)))
    report(
      "merge-catch-all",
      "spec.hosts",
      `rule ${rules.indexOf(catchAll) + 1} of HTTPRoute ${name} matches every request and routes elsewhere; weir's rules would replace it: remove it or give it a narrower match`,
    );
  // The Gateway API prefers the more specific match, wherever the rule stands.
  for (const rule of others)
    if (backendsOf(rule, namespace).some((each) => backends.has(each)))
      report(
        "merge-shadowed",
        "spec.hosts",
        `rule ${rules.indexOf(rule) + 1} of HTTPRoute ${name} (${JSON.stringify(rule.matches)}) routes to the same backend and bypasses weir's rules: its requests would reach pods of any variant without limits; delete the rule, or let it lead elsewhere`,
      );
  const { backendRefs, matches: _, ...kept } = catchAll ?? {};
  const merged = mine.map((rule) => inherit(rule, kept));
  if (catchAll) {
    const path = `rules[${rules.indexOf(catchAll)}]`;
    const { filters: __, name: ___, ...rest } = kept;
    reportLosses(rest, merged.at(-1), path, lose);
    for (const { filters } of listOf(backendRefs))
      reportLosses(filters, undefined, `${path}.backendRefs.filters`, lose);
  }
  if (others.length + merged.length > maxRules)
    report(
      "http-route-rules",
      "spec.variants",
      `HTTPRoute ${name} would have ${others.length + merged.length} rules: at most ${maxRules} are allowed`,
    );
  return {
    object: {
      ...manifest.object,
      spec: defined({
        ...there,
        parentRefs: parents,
        hostnames: spec.hostnames,
        rules: [...others, ...merged],
      }),
    },
    origins: [
      ...manifest.origins.map((origin) => {
        const [first, field, index, ...rest] = origin.path;
        return first === "spec" && field === "rules" && typeof index === "number"
          ? { ...origin, path: [first, field, index + others.length, ...rest] }
          : origin;
      }),
      ...others.map((_, index) => ({
        path: ["spec", "rules", index],
        text: `kept from HTTPRoute ${name}`,
      })),
    ],
  };
}

/** The parents of an HTTPRoute: what each is, whatever is written beside its name. */
export function parentsOf(
  spec: Record<string, unknown>,
  namespace = defaultNamespace,
): { key: string; parent: JsonObject }[] {
  return listOf(spec.parentRefs as JsonValue | undefined).map((parent) => ({
    key: `${parent.kind ?? "Gateway"} ${parent.namespace || namespace}/${parent.name}`,
    parent,
  }));
}

function mergeParents(
  { object }: Manifest,
  there: JsonObject,
  namespace: string,
  name: string,
  report: Report,
): JsonObject[] {
  const before = parentsOf(there, namespace);
  const asked = parentsOf(object.spec, object.metadata.namespace);
  const unknown = before.filter(({ key }) => !asked.some((each) => each.key === key));
  if (unknown.length > 0)
    report(
      "merge-other-gateways",
      "spec.gateways",
      `HTTPRoute ${name} is also bound to ${unknown.map(({ key }) => key).join(", ")}: add them to gateways, or split it first`,
    );
  const added = asked.filter(({ key }) => !before.some((each) => each.key === key));
  return [...before, ...added].map(({ parent }) => parent);
}

function checkHosts(there: JsonObject, spec: JsonObject, name: string, report: Report): void {
  const before = (there.hostnames ?? []) as string[];
  const asked = (spec.hostnames ?? []) as string[];
  const others = before.filter((host) => !asked.includes(host));
  const all = before.length === 0 && asked.length > 0;
  if (asked.length > 0 && (all || others.length > 0))
    report(
      "merge-other-hosts",
      "spec.hosts",
      `HTTPRoute ${name} also answers for ${all ? "every other host of its parents" : others.join(", ")}: add them to hosts, or split it first`,
    );
}

function listOf(value: JsonValue | undefined): JsonObject[] {
  return (value ?? []) as JsonObject[];
}

/** Backends by kind and full name, however much of it is written. */
function backendsOf({ backendRefs }: JsonObject, namespace: string): string[] {
  return listOf(backendRefs).map(
    ({ kind, name, namespace: own }) => `${kind ?? "Service"} ${own || namespace}/${name}`,
  );
}

/** What a rule matches, as text; empty: every request, which the API server writes as a path. */
function matchesOf({ matches }: JsonObject): string {
  const all = listOf(matches).map(({ path, headers, ...rest }) => {
    const { type = "PathPrefix", value = "/" } = (path ?? {}) as JsonObject;
    const everyPath =
      (type === "PathPrefix" && value === "/") ||
      (type === "RegularExpression" && isEveryPath(value));
    return defined({
      path: everyPath ? undefined : { type, value },
      headers: listOf(headers).map(({ name, type = "Exact", value }) => ({
        name,
        type,
        value,
      })) as never,
      ...rest,
    });
  });
  const isEverything = ({ headers, ...rest }: JsonObject) =>
    listOf(headers).length === 0 && Object.keys(rest).length === 0;
  return all.length === 0 || all.some(isEverything) ? "" : JSON.stringify(all);
}

/** Whether a rule is one of Weir's, written by an earlier merge. */
function isAlike(
  mine: JsonObject,
  rule: JsonObject,
  backends: ReadonlySet<string>,
  namespace: string,
): boolean {
  return (
    matchesOf(mine) !== "" &&
    matchesOf(mine) === matchesOf(rule) &&
    backendsOf(rule, namespace).every((each) => backends.has(each))
  );
}

function inherit(rule: JsonObject, kept: JsonObject): JsonObject {
  const filters = inheritFilters(listOf(kept.filters), listOf(rule.filters));
  const timeouts = { ...(kept.timeouts as JsonObject), ...(rule.timeouts as JsonObject) };
  const { name: _, ...rest } = kept;
  return defined({
    ...rest,
    ...rule,
    filters: filters.length > 0 ? filters : undefined,
    timeouts: Object.keys(timeouts).length > 0 ? timeouts : undefined,
  });
}
