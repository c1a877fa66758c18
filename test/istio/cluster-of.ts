import type { RouteState } from "../../control/gen/weir/v1/service_pb.ts";
import { routeName } from "../../control/route/index.ts";

interface Labels {
  [name: string]: string;
}

/**
 * What must be in a cluster for the routes to mean something: namespaces,
 * Gateways with their pods, Services with a pod per variant. As YAML, because
 * JSON is YAML.
 */
export function clusterOf(states: RouteState[]): string {
  const objects = new Map<string, object>();
  const add = (
    apiVersion: string,
    kind: string,
    [namespace, name]: [string, string],
    rest: object,
    labels: Labels = {},
  ) => {
    const metadata = { name, namespace, labels };
    objects.set(`${apiVersion}/${kind}/${namespace}/${name}`, {
      apiVersion,
      kind,
      metadata,
      ...rest,
    });
    objects.set(`Namespace/${namespace}`, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, labels: { "istio-injection": "enabled" } },
    });
  };
  const addPod = (place: [string, string], labels: Labels) =>
    add(
      "v1",
      "Pod",
      place,
      { spec: { containers: [{ name: "istio-proxy", image: "x" }] } },
      labels,
    );

  const addService = (namespace: string, name: string, port: number | undefined) =>
    add("v1", "Service", [namespace, name], {
      spec: { selector: { app: name }, ports: [{ name: "http", port, targetPort: port }] },
    });

  for (const { route } of states) {
    if (route?.spec === undefined) continue;
    const { service, variants, gateways, attach, alsoAttach, shadow } = route.spec;
    const namespace = routeName(route).split("/", 1)[0] as string;
    const app = { app: `${service?.name}` };
    addService(namespace, `${service?.name}`, service?.port);
    for (const variant of variants) {
      if (variant.service !== "") addService(namespace, variant.service, service?.port);
      const own = variant.service === "" ? app : { app: variant.service };
      addPod([namespace, `${service?.name}-${variant.name}`], { ...own, ...variant.labels });
    }
    if (shadow?.isolate) addPod([namespace, "shadow"], shadow.isolate.selector);
    for (const [index, each] of [attach, ...alsoAttach].entries()) {
      const proxies = each && Object.keys(each.selector).length > 0 ? each.selector : app;
      addPod([each?.namespace || namespace, `proxy-${index}`], proxies);
    }
    const proxies = attach && Object.keys(attach.selector).length > 0 ? attach.selector : app;
    const proxyNamespace = attach?.namespace || namespace;
    for (const gateway of gateways) {
      if (gateway === "mesh") continue;
      const place = gateway.includes("/") ? gateway.split("/") : [namespace, gateway];
      const selector = attach?.targetRefs.length
        ? { "gateway.example.com/name": "public" }
        : proxies;
      addPod([place[0] as string, `${place[1]}-pod`], selector);
      const servers = [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*"] }];
      add("networking.istio.io/v1", "Gateway", place as [string, string], {
        spec: { selector, servers },
      });
    }
    for (const ref of attach?.targetRefs ?? []) {
      if (ref.kind !== "Gateway") continue;
      const listeners = [{ name: "http", port: 80, protocol: "HTTP" }];
      add("gateway.networking.k8s.io/v1", "Gateway", [proxyNamespace, ref.name], {
        spec: { gatewayClassName: "istio", listeners },
      });
    }
  }
  return [...objects.values()].map((object) => JSON.stringify(object)).join("\n---\n");
}
