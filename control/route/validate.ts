import { isIP } from "node:net";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { InferenceRoute, KeySource, Resilience, RouteSpec } from "../gen/weir/v1/route_pb.ts";
import { controlHeaders } from "./control-headers.ts";
import { routeName } from "./names.ts";
import type { Problem, Report } from "./problem.ts";
import { stickinessProblems } from "./validate-canary.ts";
import { checkCluster } from "./validate-cluster.ts";
import { compressionProblems, matchProblems } from "./validate-compression.ts";
import { shadowProblems } from "./validate-shadow.ts";
import { checkTraffic } from "./validate-traffic.ts";
import { toBuckets } from "./weights.ts";

/** What is wrong with the meaning of a document whose shape is right; empty when it may be stored. */
export function validateRoute(route: InferenceRoute): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (code, path, message) => problems.push({ code, path, message });
  const spec = route.spec;
  if (spec === undefined)
    return [{ code: "missing-field", path: "spec", message: "spec is required" }];
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

/** validateRoute for each, and what is only wrong with them together. */
export function validateAll(routes: readonly InferenceRoute[]): Problem[] {
  const problems = routes.flatMap((route, index) =>
    validateRoute(route).map((each) =>
      index === 0 ? each : { ...each, path: `document ${index + 1}: ${each.path}` },
    ),
  );
  const names = new Set<string>();
  const hosts = new Map<string, string>();
  for (const route of routes) {
    const name = routeName(route);
    if (names.has(name))
      problems.push({
        code: "duplicate-route",
        path: "metadata.name",
        message: `${name} is described twice`,
      });
    names.add(name);
    problems.push(...hostConflicts(route, hosts));
    for (const host of route.spec?.hosts ?? []) hosts.set(host, name);
  }
  return problems;
}

/** Hosts of a route that another route (host -> name) already answers for. */
export function hostConflicts(
  route: InferenceRoute,
  taken: ReadonlyMap<string, string>,
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
            message: `host ${host} belongs to route ${owner}`,
          },
        ];
  });
}

function checkVariants(spec: RouteSpec, report: Report): void {
  reportDuplicates(
    spec.variants.map((each) => each.name),
    "spec.variants",
    "variant",
    report,
  );
  const sum = spec.variants.reduce((total, each) => total + toBuckets(each.weight), 0);
  if (sum !== 10000)
    report("weights-sum", "spec.variants", `weights must sum to exactly 100, not ${sum / 100}`);
  const withEndpoints = spec.variants.filter((each) => each.endpoints.length > 0);
  const endpoints = new Map<string, string>();
  spec.variants.forEach((variant, index) => {
    const path = `spec.variants[${index}]`;
    if (withEndpoints.length > 0 && variant.endpoints.length === 0)
      report(
        "missing-endpoints",
        `${path}.endpoints`,
        `variant ${variant.name} has no endpoints, but others have: give all or none`,
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

function checkRateLimit({ rateLimit }: RouteSpec, report: Report): void {
  if (rateLimit === undefined) return;
  const tiers = Object.keys(rateLimit.tiers);
  const unknown = (name: string) => `tier "${name}" is not one of ${tiers.join(", ")}`;
  if (!tiers.includes(rateLimit.default))
    report("unknown-tier", "spec.rateLimit.default", unknown(rateLimit.default));
  for (const [tenant, tier] of Object.entries(rateLimit.tenants)) {
    const problem = tenantProblem(tenant);
    // The name may be a key that was pasted in plain: it is not repeated.
    if (problem) report("bad-tenant", "spec.rateLimit.tenants", problem);
    else if (!tiers.includes(tier))
      report("unknown-tier", `spec.rateLimit.tenants.${tenant}`, unknown(tier));
  }
  for (const [name, tier] of Object.entries(rateLimit.tiers)) {
    if (tier.burst > 0 && tier.burst < tier.requestsPerSecond)
      report(
        "burst-too-small",
        `spec.rateLimit.tiers.${name}.burst`,
        `burst must be at least requestsPerSecond ${tier.requestsPerSecond}, not ${tier.burst}`,
      );
  }
  checkSources(rateLimit.identity, "spec.rateLimit.identity", report);
}

function tenantProblem(tenant: string): string | undefined {
  if (tenant.startsWith("sha256:") && !/^sha256:[0-9a-f]{64}$/.test(tenant))
    return 'a tenant that starts with "sha256:" must go on with 64 lower-case hex digits';
  if (/^(sk|pk|key|token|bearer)[-_ ]/i.test(tenant))
    return 'a tenant looks like an API key: write "sha256:" and the SHA-256 of the key, never the key';
  return undefined;
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
        `header ${source.value} is set by weir and tells nothing about the caller`,
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
      "canary.force.from names tenants, which rateLimit.identity must tell apart",
    );
  if (controlHeaders.includes(canary.force.header))
    report(
      "control-header",
      "spec.canary.force.header",
      `header ${canary.force.header} is set by weir and never read from a client`,
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
      `variant ${shadow.variant} takes shadow traffic only: its weight must be 0, not ${target.weight}`,
    );
  const modeHeader = shadow.modeHeader || "x-shadow-mode";
  const tagHeader = shadow.tagHeader || "x-traffic-tag";
  if (modeHeader === tagHeader)
    report(
      "same-header",
      "spec.shadow.tagHeader",
      `modeHeader and tagHeader must differ, both are ${modeHeader}`,
    );
  for (const [field, header] of Object.entries({ modeHeader, tagHeader }))
    if (controlHeaders.includes(header))
      report("control-header", `spec.shadow.${field}`, `header ${header} has another meaning`);
  for (const { code, path, message } of matchProblems(shadow.match, "spec.shadow.match"))
    report(code, path, message);
  if (shadow.from.length > 0 && rateLimit === undefined)
    report(
      "missing-field",
      "spec.rateLimit",
      "shadow.from names tenants, which rateLimit.identity must tell apart",
    );
}

function checkResilience({ resilience }: RouteSpec, report: Report): void {
  if (resilience === undefined) return;
  const path = "spec.resilience";
  const retries = resilience.retries;
  if (
    retries?.attempts === 0 &&
    (retries.perTryTimeout ?? retries.backoff ?? retries.budget ?? retries.retryOn[0]) !== undefined
  )
    report(
      "retries-off",
      `${path}.retries`,
      "perTryTimeout, retryOn, backoff and budget have no meaning with 0 attempts",
    );
  for (const [name, duration] of Object.entries(durationsOf(resilience)))
    if (duration !== undefined && duration.seconds === 0n && duration.nanos < 1_000_000)
      report(
        "out-of-range",
        `${path}.${name}`,
        `${name.split(".").at(-1)} must be at least 0.001s`,
      );
}

/** All durations of a route's resilience, by their path below it. */
export function durationsOf(resilience: Resilience): Record<string, Duration | undefined> {
  const { balance, connections, outlier, retries, warmup } = resilience;
  const key = balance?.hash?.key;
  return {
    timeout: resilience.timeout,
    "retries.perTryTimeout": retries?.perTryTimeout,
    "retries.backoff": retries?.backoff,
    "outlier.interval": outlier?.interval,
    "outlier.baseEjectionTime": outlier?.baseEjectionTime,
    "connections.connectTimeout": connections?.connectTimeout,
    "connections.idleTimeout": connections?.idleTimeout,
    "connections.maxConnectionDuration": connections?.maxConnectionDuration,
    "connections.keepalive.time": connections?.keepalive?.time,
    "connections.keepalive.interval": connections?.keepalive?.interval,
    "warmup.duration": warmup?.duration,
    "balance.hash.cookie.ttl": key?.case === "cookie" ? key.value.ttl : undefined,
  };
}

/** Reports every name that is there for the second time. */
export function reportDuplicates(
  names: readonly string[],
  path: string,
  noun: string,
  report: Report,
): void {
  names.forEach((name, index) => {
    if (names.indexOf(name) < index)
      report(`duplicate-${noun}`, `${path}[${index}]`, `${noun} "${name}" is there twice`);
  });
}
