import { isIP } from "node:net";
import type { RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import { endpointAddress, isNamed } from "../endpoint.ts";
import type { Report } from "../problem.ts";
import { isForPlainEnvoys } from "../register.ts";
import { bucketCount, toBuckets } from "../weights.ts";
import { checkDuplicates } from "./duplicates.ts";

/** Checks the Service of the pods. */
export function checkService({ service, variants }: RouteSpec, report: Report): void {
  const withoutPods = variants.some(
    (variant) => !isForPlainEnvoys(variant) && !mayBeEmpty(variant),
  );
  if (service === undefined && withoutPods)
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
    if (isPlain && !isForPlainEnvoys(variant) && !mayBeEmpty(variant))
      report(
        "missing-endpoints",
        `${path}.endpoints`,
        `variant ${variant.name} has no endpoints, but others have: set endpoints or register for all variants or for none, or its fallback`,
      );
    if (variant.register && variant.endpoints.some(isNamed))
      report(
        "register-beside-names",
        `${path}.register`,
        `variant ${variant.name} has names as endpoints, which Envoy resolves itself: pods can register only beside addresses`,
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

/** Its users are answered by others as long as it has no pods. */
function mayBeEmpty({ fallback }: Variant): boolean {
  return fallback.length > 0;
}
/** A name has at most 253 characters, and each label of it 63 (RFC 1035). */
const maxName = 253;
const maxLabel = 63;

function endpointProblem(endpoint: string): string | undefined {
  const { host, port } = endpointAddress(endpoint);
  if (port < 1 || port > 65535) return "has a port outside 1 to 65535";
  if (isIP(host) !== 0) return undefined;
  const labels = host.split(".");
  // No domain ends in a number, but many a mistyped address does.
  if (host.includes(":") || /^\d+$/.test(labels.at(-1) ?? "")) return "has no valid IP address";
  if (host.length > maxName) return `has a name of more than ${maxName} characters`;
  return labels.some((label) => label.length > maxLabel)
    ? `has a name with a label of more than ${maxLabel} characters`
    : undefined;
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
