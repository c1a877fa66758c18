import type { InferenceRoute, RouteSpec, Variant } from "../gen/weir/v1/route_pb.ts";
import { failsOver, isForPlainEnvoys, isNamed } from "../route/index.ts";
import { type Cluster, readyPods } from "./cluster.ts";
import type { Lint, Remark } from "./finding.ts";

const defaultEjectionPercent = 30;

/** Lints about the pods: how many a variant can lose, how new ones start, what plain Envoys cannot do. */
export const podLints: readonly Lint[] = [
  {
    id: "outlier-ejects-too-many",
    severity: "warning",
    reason: "the remaining pods take over the load of the ejected ones and may then fail too",
    check: (route, cluster) => {
      const outlier = route.spec?.resilience?.outlier;
      if (outlier === undefined) return [];
      const path = "spec.resilience.outlier.maxEjectionPercent";
      const percent = outlier.maxEjectionPercent ?? defaultEjectionPercent;
      // Where others take over, they have the load.
      const alone = live(route).filter((variant) => !failsOver(variant));
      const found: Remark[] =
        percent > 50 && alone.length > 0
          ? [
              {
                path,
                message: `maxEjectionPercent ${percent} may eject more than half of a variant's pods`,
              },
            ]
          : [];
      for (const variant of alone) {
        const pods = podsOf(route, variant, cluster);
        // Envoy always ejects at least one.
        const ejected = Math.max(1, Math.floor(((pods ?? 0) * percent) / 100));
        if (pods !== undefined && pods > 0 && ejected >= pods)
          found.push({
            path,
            message: `variant ${variant.name} has ${pods} ${pods === 1 ? "pod" : "pods"}, and all of them may be ejected`,
          });
      }
      return found;
    },
  },
  {
    id: "weight-without-pods",
    severity: "error",
    reason: "the variant's share of the users gets 503 until a pod is ready",
    check: (route, cluster) =>
      cluster === undefined
        ? []
        : (route.spec?.variants ?? []).flatMap((variant, index) =>
            variant.weight > 0 && podsOf(route, variant, cluster) === 0
              ? [
                  {
                    path: `spec.variants[${index}].weight`,
                    message: `variant ${variant.name} has weight ${variant.weight} and no ready pod`,
                  },
                ]
              : [],
          ),
  },
  {
    id: "weight-without-endpoints",
    severity: "warning",
    reason: "its share of the users gets another variant, and measurements of the two are the same",
    check: ({ spec }) =>
      (spec?.variants ?? []).flatMap(({ endpoints, fallback, name, weight }, index) =>
        weight > 0 && endpoints.length === 0 && fallback.length > 0
          ? [
              {
                path: `spec.variants[${index}].weight`,
                message: `variant ${name} has weight ${weight} and no endpoints: ${fallback[0]} answers its users`,
              },
            ]
          : [],
      ),
  },
  {
    id: "scale-without-warmup",
    severity: "info",
    reason: "a new pod has cold caches and gets a full share of the requests at once",
    check: ({ spec }) =>
      (spec?.variants ?? []).flatMap(({ name, scale }, index) =>
        scale && !spec?.resilience?.warmup
          ? [
              {
                path: `spec.variants[${index}].scale`,
                message: `variant ${name} scales, but new pods are not warmed up: set resilience.warmup`,
              },
            ]
          : [],
      ),
  },
  {
    id: "plain-envoy-cannot",
    severity: "warning",
    reason: "plain Envoys have neither the mesh's certificates nor its localities",
    check: ({ spec }) => (spec?.variants.some(isForPlainEnvoys) ? beyondPlainEnvoy(spec) : []),
  },
];

function beyondPlainEnvoy(spec: RouteSpec): Remark[] {
  const { resilience, service, tls } = spec;
  const found: Remark[] = [];
  if (service?.externalHost) return found;
  // A document that names Istio's proxies as well may hold what is for those alone.
  if (spec.gateways.length === 0 && spec.attach === undefined)
    found.push(...forClustersAlone(spec));
  if (tls?.mode === "istio-mutual")
    found.push({
      path: "spec.tls.mode",
      message: "plain Envoys send plain text with mode istio-mutual",
    });
  if (tls && tls.credentialName !== "")
    found.push({
      path: "spec.tls.credentialName",
      message: "plain Envoys read certificates only from files",
    });
  if (resilience?.locality)
    found.push({
      path: "spec.resilience.locality",
      message: "plain Envoys do not support localities: use fallbackEndpoints",
    });
  if (resilience?.balance?.hash && resilience.retries?.remoteLocalities)
    found.push({
      path: "spec.resilience.retries.remoteLocalities",
      message:
        "Envoy keeps a hashed request to one locality: remoteLocalities has no effect with balance.hash",
    });
  return found;
}

/** Fields that are rendered only as cluster objects and have no effect on plain Envoys. */
function forClustersAlone({ mesh, shadow, variants }: RouteSpec): Remark[] {
  const present = {
    "spec.mesh": mesh !== undefined,
    "spec.shadow.arrival": shadow?.arrival !== undefined,
    "spec.shadow.isolate": shadow?.isolate !== undefined,
    ...Object.fromEntries(
      variants.flatMap(({ inferencePool, scale, service }, i) => [
        [`spec.variants[${i}].inferencePool`, inferencePool !== ""],
        [`spec.variants[${i}].scale`, scale !== undefined],
        [`spec.variants[${i}].service`, service !== ""],
      ]),
    ),
  };
  return Object.entries(present)
    .filter(([, is]) => is)
    .map(([path]) => ({
      path,
      message: `plain Envoys do not support ${path.split(".").at(-1)}: it needs a Kubernetes cluster`,
    }));
}

function live({ spec }: InferenceRoute): Variant[] {
  return (spec?.variants ?? []).filter(({ weight }) => weight > 0);
}

/** Ready pods of a variant, as far as they are known. */
function podsOf(
  route: InferenceRoute,
  variant: Variant,
  cluster: Cluster | undefined,
): number | undefined {
  if (cluster) return readyPods(route, variant, cluster);
  const { endpoints, register } = variant;
  // A name may stand for any number of pods, and others may register.
  return endpoints.length === 0 || register || endpoints.some(isNamed)
    ? undefined
    : endpoints.length;
}
