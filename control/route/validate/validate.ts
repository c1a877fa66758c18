import { isIP } from "node:net";
import type { InferenceRoute, KeySource, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders } from "../control-headers.ts";
import { routeName } from "../names.ts";
import type { Problem, Report } from "../problem.ts";
import { shadowHeaderNames } from "../shadow-headers.ts";
import { bucketCount, toBuckets } from "../weights.ts";
import { stickinessProblems } from "./canary.ts";
import { checkCluster } from "./cluster.ts";
import { compressionProblems, matchProblems } from "./compression.ts";
import { checkResilience } from "./resilience.ts";
import { shadowProblems } from "./shadow.ts";
import { rangesProblem, tenantProblem } from "./tenant-name.ts";
import { checkTraffic } from "./traffic.ts";

/** Checks the meaning of a document with a valid structure; returns no problems if it may be stored. */
export function validateRoute(route: InferenceRoute): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (code, path, message) => problems.push({ code, path, message });
  const spec = route.spec;
  if (spec === undefined)
    return [{ code: "missing-field", path: "spec", message: "spec is required" }];
  checkService(spec, report);
  checkVariants(spec, report);
  checkRateLimit(spec, report);
  checkCanary(spec, report);
  checkShadow(spec, report);
  checkResilience(spec, report);
  checkTraffic(spec, report);
  checkCluster(spec, report);
  reportDuplicates(spec.hosts, "spec.hosts", "host", report);
  return [
    ...problems,
    ...compressionProblems(spec.compression),
    ...stickinessProblems(spec),
    ...shadowProblems(spec),
  ];
}

/**
 * Runs validateRoute for each route, and checks the routes together.
 * @param prefixes what the paths of each route start with; "document N: " where none are given
 */
export function validateAll(
  routes: readonly InferenceRoute[],
  prefixes: readonly string[] = routes.map((_, index) =>
    index === 0 ? "" : `document ${index + 1}: `,
  ),
): Problem[] {
  const problems: Problem[] = [];
  const names = new Set<string>();
  const hosts = new Map<string, string>();
  for (const [index, route] of routes.entries()) {
    const add = (...found: Problem[]) => {
      for (const each of found) problems.push({ ...each, path: prefixes[index] + each.path });
    };
    add(...validateRoute(route));
    const name = routeName(route);
    if (names.has(name))
      add({
        code: "duplicate-route",
        path: "metadata.name",
        message: `${name} is defined twice`,
      });
    names.add(name);
    add(...hostConflicts(route, hosts));
    for (const host of route.spec?.hosts ?? []) hosts.set(host, name);
  }
  return problems;
}

/**
 * Hosts of a route that another route (host -> name) already answers for.
 * @param mayName whether the caller may know that there is a route of this name
 */
export function hostConflicts(
  route: InferenceRoute,
  taken: ReadonlyMap<string, string>,
  mayName: (owner: string) => boolean = () => true,
): Problem[] {
  const name = routeName(route);
  return (route.spec?.hosts ?? []).flatMap((host, index) => {
    const owner = taken.get(host);
    return owner === undefined || owner === name
      ? []
      : [
          {
            code: "host-taken",
            path: `spec.hosts[${index}]`,
            message: `host ${host} already belongs to ${mayName(owner) ? `route ${owner}` : "a route of another namespace"}`,
          },
        ];
  });
}

function checkService({ service, variants }: RouteSpec, report: Report): void {
  if (service === undefined && variants.some(({ endpoints }) => endpoints.length === 0))
    report(
      "missing-field",
      "spec.service",
      "service is required when a variant has no endpoints: it names the Kubernetes Service of the pods",
    );
}

function checkVariants(spec: RouteSpec, report: Report): void {
  reportDuplicates(
    spec.variants.map((each) => each.name),
    "spec.variants",
    "variant",
    report,
  );
  const sum = spec.variants.reduce((total, each) => total + toBuckets(each.weight), 0);
  if (sum !== bucketCount)
    report("weights-sum", "spec.variants", `weights must sum to exactly 100, not ${sum / 100}`);
  const withEndpoints = spec.variants.filter((each) => each.endpoints.length > 0);
  const endpoints = new Map<string, string>();
  spec.variants.forEach((variant, index) => {
    const path = `spec.variants[${index}]`;
    if (withEndpoints.length > 0 && variant.endpoints.length === 0)
      report(
        "missing-endpoints",
        `${path}.endpoints`,
        `variant ${variant.name} has no endpoints, but others have: set endpoints for all variants or for none`,
      );
    for (const field of ["endpoints", "fallbackEndpoints"] as const)
      variant[field].forEach((endpoint, at) => {
        const where = `${path}.${field}[${at}]`;
        const problem = endpointProblem(endpoint);
        if (problem) report("bad-endpoint", where, `endpoint "${endpoint}" ${problem}`);
        const owner = endpoints.get(endpoint);
        if (owner !== undefined)
          report(
            "duplicate-endpoint",
            where,
            `endpoint ${endpoint} already belongs to variant ${owner}`,
          );
        endpoints.set(endpoint, variant.name);
      });
  });
}

function endpointProblem(endpoint: string): string | undefined {
  const colon = endpoint.lastIndexOf(":");
  const address = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(endpoint.slice(colon + 1));
  if (isIP(address) === 0) return "has no valid IP address";
  return port >= 1 && port <= 65535 ? undefined : "has a port outside 1 to 65535";
}

function checkRateLimit({ canary, rateLimit }: RouteSpec, report: Report): void {
  if (rateLimit === undefined) return;
  const tiers = Object.keys(rateLimit.tiers);
  const unknown = (name: string) => `tier "${name}" is not one of ${tiers.join(", ")}`;
  if (!tiers.includes(rateLimit.default))
    report("unknown-tier", "spec.rateLimit.default", unknown(rateLimit.default));
  const bySourceIp = rateLimit.identity.some(({ source }) => source.case === "sourceIp");
  for (const [tenant, tier] of Object.entries(rateLimit.tenants)) {
    const problem = tenantProblem(tenant, bySourceIp);
    // The name may be a key that was pasted in plain: it is not repeated.
    if (problem) report("bad-tenant", "spec.rateLimit.tenants", problem);
    else if (!tiers.includes(tier))
      report("unknown-tier", `spec.rateLimit.tenants.${tenant}`, unknown(tier));
  }
  const tooMany = rangesProblem(rateLimit);
  if (tooMany) report("bad-tenant", "spec.rateLimit.tenants", tooMany);
  checkSources(rateLimit.identity, "spec.rateLimit.identity", report);
  const limits = [rateLimit, ...Object.values(rateLimit.tiers)];
  const bounded = canary && limits.some(({ concurrent }) => concurrent !== undefined);
  if (rateLimit.variantPercent !== undefined && !bounded)
    report(
      "no-effect",
      "spec.rateLimit.variantPercent",
      "variantPercent has no effect without spec.canary and a limit of concurrent requests",
    );
}

function checkSources(sources: readonly KeySource[], path: string, report: Report): void {
  sources.forEach(({ source }, index) => {
    if (source.case === undefined || source.value === false || source.value === "")
      report(
        "one-of",
        `${path}[${index}]`,
        "a key source must have exactly one of header, apiKey, sourceIp, san, tenant",
      );
    else if (source.case === "header" && controlHeaders.includes(source.value))
      report(
        "control-header",
        `${path}[${index}].header`,
        `header ${source.value} is set by weir and cannot identify the caller: use another header`,
      );
  });
}

function checkCanary({ canary, rateLimit }: RouteSpec, report: Report): void {
  if (canary === undefined) return;
  checkSources(canary.stickyBy, "spec.canary.stickyBy", report);
  if (canary.force === undefined) return;
  if (rateLimit === undefined)
    report(
      "missing-field",
      "spec.rateLimit",
      "canary.force.from names tenants: set rateLimit.identity, which identifies tenants",
    );
  if (controlHeaders.includes(canary.force.header))
    report(
      "control-header",
      "spec.canary.force.header",
      `header ${canary.force.header} is set by weir and cannot be sent by clients: use another header`,
    );
}

function checkShadow({ shadow, variants, rateLimit }: RouteSpec, report: Report): void {
  if (shadow === undefined) return;
  const target = variants.find((each) => each.name === shadow.variant);
  if (target === undefined)
    report(
      "unknown-variant",
      "spec.shadow.variant",
      `variant "${shadow.variant}" is not one of ${variants.map((each) => each.name).join(", ")}`,
    );
  else if (target.weight !== 0)
    report(
      "shadow-weight",
      "spec.shadow.variant",
      `variant ${shadow.variant} receives only shadow traffic: its weight must be 0, not ${target.weight}`,
    );
  const { modeHeader, tagHeader } = shadowHeaderNames(shadow);
  if (modeHeader === tagHeader)
    report(
      "same-header",
      "spec.shadow.tagHeader",
      `modeHeader and tagHeader must differ, both are ${modeHeader}`,
    );
  for (const [field, header] of Object.entries({ modeHeader, tagHeader }))
    if (controlHeaders.includes(header))
      report(
        "control-header",
        `spec.shadow.${field}`,
        `header ${header} is reserved by weir: use another header`,
      );
  for (const { code, path, message } of matchProblems(shadow.match, "spec.shadow.match"))
    report(code, path, message);
  if (shadow.from.length > 0 && rateLimit === undefined)
    report(
      "missing-field",
      "spec.rateLimit",
      "shadow.from names tenants: set rateLimit.identity, which identifies tenants",
    );
}

/** Reports every name that occurs a second time. */
function reportDuplicates(
  names: readonly string[],
  path: string,
  noun: string,
  report: Report,
): void {
  names.forEach((name, index) => {
    if (names.indexOf(name) < index)
      report(`duplicate-${noun}`, `${path}[${index}]`, `${noun} "${name}" is listed twice`);
  });
}
