import { isIP } from "node:net";
import type { RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";
import { isForPlainEnvoys } from "../register.ts";
import { bucketCount, toBuckets } from "../weights.ts";
import { checkDuplicates } from "./duplicates.ts";

/** Checks the Service of the pods. */
export function checkService({ service, variants }: RouteSpec, report: Report): void {
  if (service === undefined && !variants.every(isForPlainEnvoys))
    report(
      "missing-field",
      "spec.service",
      "service is required when a variant has no endpoints and no register: it names the Kubernetes Service of the pods",
    );
  if (service?.externalHost && variants.some(({ endpoints }) => endpoints.length === 0))
    report(
      "missing-endpoints",
      "spec.service.externalHost",
      "with service.externalHost every variant needs endpoints",
    );
}

/** Checks the variants: names, weights, endpoints, backends and scaling. */
export function checkVariants(spec: RouteSpec, report: Report): void {
  checkDuplicates(
    spec.variants.map((each) => each.name),
    "spec.variants",
    { code: "duplicate-variant", noun: "variant" },
    report,
  );
  const sum = spec.variants.reduce((total, each) => total + toBuckets(each.weight), 0);
  if (sum !== bucketCount)
    report("weights-sum", "spec.variants", `weights must sum to exactly 100, not ${sum / 100}`);
  const isPlain = spec.variants.some(isForPlainEnvoys);
  const endpoints = new Map<string, string>();
  spec.variants.forEach((variant, index) => {
    const path = `spec.variants[${index}]`;
    if (isPlain && !isForPlainEnvoys(variant))
      report(
        "missing-endpoints",
        `${path}.endpoints`,
        `variant ${variant.name} has no endpoints, but others have: set endpoints or register for all variants or for none`,
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
  checkBackends(spec, report);
}

function endpointProblem(endpoint: string): string | undefined {
  const colon = endpoint.lastIndexOf(":");
  const address = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(endpoint.slice(colon + 1));
  if (isIP(address) === 0) return "has no valid IP address";
  return port >= 1 && port <= 65535 ? undefined : "has a port outside 1 to 65535";
}

function checkBackends({ variants, service }: RouteSpec, report: Report): void {
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
