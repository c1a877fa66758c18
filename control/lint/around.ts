import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { type KubernetesObject, objectNamespace, objectsOf } from "../objects/index.ts";
import { routeName } from "../route/index.ts";
import { type Cluster, namespaceOf } from "./cluster.ts";
import type { Lint, Remark } from "./finding.ts";

/** A lint about other objects in the cluster. */
interface ClusterLint extends Lint {
  /** Kinds of objects that it must have seen all of. */
  kinds: readonly string[];
}

/** Lints about what must be around a route in its cluster; silent when no cluster is known. */
export const clusterLints: readonly ClusterLint[] = [
  {
    id: "service-missing",
    severity: "error",
    kinds: ["Service"],
    reason: "without the Service there is no pod to route to",
    check: inCluster((route, cluster) => {
      const spec = route.spec;
      if (spec?.service === undefined || spec.service.externalHost) return [];
      const namespace = namespaceOf(route);
      const services = objectsOf(cluster, "Service", namespace);
      const shared = spec.variants.some(({ inferencePool, service }) => !inferencePool && !service);
      const wanted = [
        ...(shared ? [{ path: "spec.service.name", name: spec.service.name }] : []),
        ...spec.variants.flatMap(({ service }, index) =>
          service ? [{ path: `spec.variants[${index}].service`, name: service }] : [],
        ),
      ];
      return wanted.flatMap(({ name, path }) => {
        const found = services.find(({ metadata }) => metadata.name === name);
        if (found === undefined)
          return [{ path, message: `service ${namespace}/${name} is not in the cluster` }];
        const ports = ((found.spec?.ports ?? []) as { port?: number }[]).map(({ port }) => port);
        return ports.includes(spec.service?.port)
          ? []
          : [
              {
                path: "spec.service.port",
                message: `service ${namespace}/${name} has no port ${spec.service?.port}: it has ${ports.join(", ")}`,
              },
            ];
      });
    }),
  },
  {
    id: "gateway-missing",
    severity: "error",
    kinds: ["Gateway"],
    reason: "no request can reach a route that is bound to a missing gateway",
    check: inCluster((route, cluster) =>
      (route.spec?.gateways ?? []).flatMap((gateway, index) => {
        if (gateway === "mesh") return [];
        const [namespace, name] = gateway.includes("/")
          ? gateway.split("/")
          : [namespaceOf(route), gateway];
        const there = objectsOf(cluster, "Gateway", namespace).some(
          ({ metadata }) => metadata.name === name,
        );
        return there
          ? []
          : [
              {
                path: `spec.gateways[${index}]`,
                message: `gateway ${namespace}/${name} is not in the cluster`,
              },
            ];
      }),
    ),
  },
  {
    id: "host-is-taken",
    severity: "error",
    kinds: ["VirtualService"],
    reason:
      "Istio merges VirtualServices of one host at a gateway in an order that nobody promises, and in the mesh takes the oldest alone",
    check: inCluster((route, cluster) => {
      if (route.spec?.mesh?.delegate) return [];
      return objectsOf(cluster, "VirtualService").flatMap((other) => {
        if (isOf(other, route)) return [];
        const hosts = (other.spec?.hosts ?? []) as string[];
        const gateways = (other.spec?.gateways ?? ["mesh"]) as string[];
        const mine = route.spec?.gateways.length ? route.spec.gateways : ["mesh"];
        const qualified = (name: string, namespace: string) =>
          name === "mesh" || name.includes("/") ? name : `${namespace}/${name}`;
        const theirs = gateways.map((name) => qualified(name, other.metadata.namespace ?? ""));
        if (!mine.some((name) => theirs.includes(qualified(name, namespaceOf(route))))) return [];
        return (route.spec?.hosts ?? []).flatMap((host, index) =>
          hosts.includes(host)
            ? [
                {
                  path: `spec.hosts[${index}]`,
                  message: `host ${host} already belongs to VirtualService ${other.metadata.namespace}/${other.metadata.name}: adopt it with weir render --merge, or delegate to this route`,
                },
              ]
            : [],
        );
      });
    }),
  },
  {
    id: "subset-missing",
    severity: "error",
    kinds: ["VirtualService", "DestinationRule"],
    reason: "a route to a subset that no DestinationRule has answers 503",
    check: inCluster((route, cluster) => {
      const service = route.spec?.service?.name ?? "";
      const namespace = namespaceOf(route);
      const own = new Set(route.spec?.variants.map(({ name }) => name));
      const others = objectsOf(cluster, "DestinationRule").filter(
        (rule) => !isOf(rule, route) && isHost(rule.spec?.host, rule, service, namespace),
      );
      const known = others.flatMap(({ spec }) => (spec?.subsets ?? []) as { name?: string }[]);
      for (const { name } of known) own.add(name ?? "");
      const found = new Map<string, Remark>();
      for (const other of objectsOf(cluster, "VirtualService").filter((each) => !isOf(each, route)))
        for (const { host, subset } of destinationsOf(other))
          if (subset && isHost(host, other, service, namespace) && !own.has(subset))
            found.set(subset, {
              path: "spec.variants",
              message: `VirtualService ${other.metadata.namespace}/${other.metadata.name} routes to subset ${subset} of service ${service}, but the route has no variant of that name`,
            });
      return [...found.values()];
    }),
  },
  {
    id: "other-destination-rule",
    severity: "warning",
    kinds: ["DestinationRule"],
    reason:
      "if several DestinationRules have the same host, Istio uses the subsets of all but the policy of only one",
    check: inCluster((route, cluster) =>
      objectsOf(cluster, "DestinationRule").flatMap((rule) =>
        !isOf(rule, route) &&
        isHost(rule.spec?.host, rule, route.spec?.service?.name ?? "", namespaceOf(route))
          ? [
              {
                path: "spec.service.name",
                message: `DestinationRule ${rule.metadata.namespace}/${rule.metadata.name} has the same host: adopt it with weir render --merge`,
              },
            ]
          : [],
      ),
    ),
  },
];

function inCluster(
  check: (route: InferenceRoute, cluster: Cluster) => Remark[],
): (route: InferenceRoute, cluster: Cluster | undefined) => Remark[] {
  return (route, cluster) => (cluster === undefined ? [] : check(route, cluster));
}

/** Whether Weir made the object for the route. */
function isOf({ metadata }: KubernetesObject, route: InferenceRoute): boolean {
  const routes = metadata.annotations?.["weir.dev/route"] ?? "";
  return routes.split(",").includes(routeName(route));
}

/** Whether a host that an object names is the Service, by any of its names. */
function isHost(
  host: unknown,
  object: KubernetesObject,
  service: string,
  namespace: string,
): boolean {
  const full = `${service}.${namespace}`;
  if (host === service) return objectNamespace(object) === namespace;
  return host === full || host === `${full}.svc` || host === `${full}.svc.cluster.local`;
}

function destinationsOf({ spec }: KubernetesObject): { host?: string; subset?: string }[] {
  const rules = (spec?.http ?? []) as {
    route?: { destination?: object }[];
    mirror?: object;
    mirrors?: { destination?: object }[];
  }[];
  return rules.flatMap(({ mirror, mirrors, route }) =>
    [
      mirror,
      ...[...(route ?? []), ...(mirrors ?? [])].map(({ destination }) => destination),
    ].filter((each) => each !== undefined),
  );
}
