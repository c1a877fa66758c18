import type { Attach, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

/** Checks a route's settings for a cluster: proxies, Services, telemetry, scaling. */
export function checkCluster(spec: RouteSpec, report: Report): void {
  if (spec.attach) checkAttach(spec.attach, "spec.attach", spec, report);
  else if (spec.alsoAttach.length > 0)
    report(
      "missing-field",
      "spec.attach",
      "alsoAttach adds to attach, which is missing: set spec.attach",
    );
  spec.alsoAttach.forEach((attach, index) => {
    checkAttach(attach, `spec.alsoAttach[${index}]`, spec, report);
  });
  if (spec.mesh?.telemetry && !spec.attach)
    report(
      "missing-field",
      "spec.attach",
      "mesh.telemetry applies to the attached proxies: set spec.attach",
    );
  if (spec.service?.externalHost && spec.variants.some(({ endpoints }) => endpoints.length === 0))
    report(
      "missing-endpoints",
      "spec.service.externalHost",
      "with service.externalHost every variant needs endpoints",
    );
  checkVariants(spec, report);
  checkIsolation(spec, report);
  checkConnectionLimit(spec, report);
}

const byReference = ["Service", "ServiceEntry"];

function checkAttach(attach: Attach, path: string, spec: RouteSpec, report: Report): void {
  const selects = Object.keys(attach.selector).length > 0;
  if (selects === attach.targetRefs.length > 0)
    report("one-of", path, `${path.slice(5)} must have exactly one of selector, targetRefs`);
  if (attach.side === "waypoint" && attach.targetRefs.length === 0)
    report(
      "waypoint-selector",
      `${path}.side`,
      "side waypoint needs targetRefs instead of selector",
    );
  if ((attach.side === "client" || attach.side === "server") && attach.targetRefs.length > 0)
    report(
      "sidecar-reference",
      `${path}.side`,
      `side ${attach.side} needs selector instead of targetRefs`,
    );
  const mixed = attach.targetRefs.some(({ kind }) => byReference.includes(kind));
  if (mixed && attach.side === "gateway")
    report(
      "one-of",
      `${path}.side`,
      "targetRefs to a Service or ServiceEntry need side waypoint, not gateway",
    );
  attach.filters.forEach((filter, index) => {
    if (spec[filter as "canary" | "rateLimit" | "shadow" | "compression"] === undefined)
      report(
        "filter-not-asked",
        `${path}.filters[${index}]`,
        `filter ${filter} needs spec.${filter}, which the route does not set`,
      );
    if (attach.filters.indexOf(filter) < index)
      report("duplicate-filter", `${path}.filters[${index}]`, `filter ${filter} is listed twice`);
  });
}

function checkVariants({ variants, service }: RouteSpec, report: Report): void {
  const workloads = new Map<string, string>();
  variants.forEach((variant, index) => {
    const path = `spec.variants[${index}]`;
    if (variant.service !== "" && variant.inferencePool !== "")
      report("one-of", path, "a variant has at most one of service, inferencePool");
    if (service?.externalHost && (variant.service !== "" || variant.inferencePool !== ""))
      report(
        "one-of",
        path,
        `variant ${variant.name} sets service or inferencePool, but service.externalHost already names the backend of all variants`,
      );
    const scale = variant.scale;
    if (scale === undefined) return;
    if ((scale.minReplicas ?? 1) > scale.maxReplicas)
      report(
        "out-of-range",
        `${path}.scale.minReplicas`,
        `minReplicas ${scale.minReplicas ?? 1} is more than maxReplicas ${scale.maxReplicas}`,
      );
    if (scale.minReplicas === 0 && scale.prometheus === "")
      report(
        "out-of-range",
        `${path}.scale.minReplicas`,
        "minReplicas 0 needs prometheus: a HorizontalPodAutoscaler cannot scale up from 0 pods",
      );
    const owner = workloads.get(`${scale.kind} ${scale.workload}`);
    if (owner !== undefined)
      report(
        "duplicate-workload",
        `${path}.scale.workload`,
        `workload ${scale.workload} is already scaled for variant ${owner}`,
      );
    workloads.set(`${scale.kind} ${scale.workload}`, variant.name);
  });
}

function checkIsolation({ shadow, variants }: RouteSpec, report: Report): void {
  const selector = shadow?.isolate?.selector;
  if (shadow === undefined || selector === undefined) return;
  const labels = variants.find(({ name }) => name === shadow.variant)?.labels ?? {};
  for (const [name, value] of Object.entries(labels))
    if (selector[name] !== value)
      report(
        "isolate-selector",
        "spec.shadow.isolate.selector",
        `selector must have the labels of variant ${shadow.variant}: ${name}: ${value} is missing`,
      );
}

function checkConnectionLimit({ rateLimit }: RouteSpec, report: Report): void {
  const limit = rateLimit?.perConnection;
  if (limit && limit.burst > 0 && limit.burst < limit.requestsPerSecond)
    report(
      "burst-too-small",
      "spec.rateLimit.perConnection.burst",
      `burst must be at least requestsPerSecond ${limit.requestsPerSecond}, not ${limit.burst}`,
    );
}
