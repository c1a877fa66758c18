import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import { endpointAddress, isNamed, routeName } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { defined, type Manifest, metadataFor } from "../manifest.ts";
import { namespaceOf, objectName } from "../names.ts";
import { exportTo } from "./export-to.ts";

/**
 * The ServiceEntries of routes to pods that no Kubernetes Service knows: one
 * per host, its endpoints labelled as their variants, so that subsets work.
 */
export function serviceEntries(routes: InferenceRoute[]): Manifest[] {
  const hosts = new Map<string, InferenceRoute[]>();
  for (const route of routes) {
    const host = route.spec?.service?.externalHost;
    if (!host) continue;
    const key = `${namespaceOf(route)}/${host}`;
    hosts.set(key, [...(hosts.get(key) ?? []), route]);
  }
  return [...hosts.values()].map(serviceEntry);
}

function serviceEntry(routes: InferenceRoute[]): Manifest {
  const [first] = routes as [InferenceRoute, ...InferenceRoute[]];
  const spec = first.spec as RouteSpec;
  const host = spec.service?.externalHost ?? "";
  const names = routes.map(routeName);
  const name = routes.length > 1 ? `weir-${host}.service` : objectName(first);
  const ports = [...new Set(routes.map((route) => route.spec?.service?.port ?? 0))];
  const http2 = spec.resilience?.connections?.http2;
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "ServiceEntry",
      metadata: metadataFor(name, namespaceOf(first), names),
      spec: defined({
        hosts: [host],
        ports: ports.map((number) => ({
          number,
          name: portName(number),
          protocol: http2 ? "HTTP2" : "HTTP",
        })),
        location: "MESH_EXTERNAL",
        // Istio takes names only with DNS, and addresses with both.
        resolution: endpointsIn(routes).some(isNamed) ? "DNS" : "STATIC",
        endpoints: endpointsOf(routes, ports),
        exportTo: exportTo(spec),
      }),
    },
    origins: [
      { path: [], text: `ServiceEntry of ${names.join(", ")}: spec.service.externalHost` },
      { path: ["spec", "endpoints"], text: "spec.variants[*].endpoints, spec.variants[*].labels" },
    ],
  };
}

function endpointsIn(routes: InferenceRoute[]): string[] {
  return routes.flatMap(({ spec }) => (spec?.variants ?? []).flatMap(({ endpoints }) => endpoints));
}

function endpointsOf(routes: InferenceRoute[], ports: number[]): JsonObject[] {
  const found = new Map<string, JsonObject>();
  for (const route of routes)
    for (const variant of route.spec?.variants ?? [])
      for (const endpoint of variant.endpoints) {
        const entry = workload(endpoint, variant, ports);
        found.set(JSON.stringify(entry), entry);
      }
  return [...found.values()];
}

function workload(endpoint: string, variant: Variant, ports: number[]): JsonObject {
  const { host, port } = endpointAddress(endpoint);
  return defined({
    address: host,
    ports: ports.every((each) => each === port)
      ? undefined
      : Object.fromEntries(ports.map((each) => [portName(each), port])),
    labels: Object.keys(variant.labels).length > 0 ? sortedRecord(variant.labels) : undefined,
  });
}

function portName(number: number): string {
  return `http-${number}`;
}
