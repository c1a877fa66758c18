import type { DescMessage, Message } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../../gen/envoy/config/core/v3/extension_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { failsOver, filterFailureOf, isForPlainEnvoys } from "../../route/index.ts";
import type { TypeName } from "../types.ts";
import { podsCluster } from "./cluster.ts";
import { hasNames } from "./discovery.ts";
import { type Pair, type PodsOf, podsOf } from "./endpoints.ts";
import { wasmFilter } from "./extension.ts";
import { failoverCluster } from "./failover.ts";
import { gatewayListener } from "./listener.ts";
import {
  filterName,
  listenerName,
  type RegisteredPods,
  type ResourceOptions,
  reportClusterName,
  routeConfigName,
  selectFilterName,
  tokenFilterName,
} from "./options.ts";
import { reportCluster } from "./report-cluster.ts";
import { routeConfiguration } from "./route-configuration.ts";
import { tracesCluster } from "./traces.ts";

export { type FilterCode, type ResourceOptions, reportClusterName } from "./options.ts";

/** A resource before it is encoded. */
export interface Resource {
  name: string;
  schema: DescMessage;
  message: Message;
}

/** All resources of plain Envoys, by type. Routes without endpoints are Istio's alone and left out. */
export function buildResources(
  states: readonly RouteState[],
  options: ResourceOptions,
): Record<TypeName, Resource[]> {
  const routes = routesOf(states);
  const pairs = pairsOf(routes);
  const pods = podsOf(pairs, options.registered);
  const failure = filterFailureOf(routes);
  return {
    CDS: [
      ...pods.map(({ endpoints, route, variant }) =>
        named(ClusterSchema, podsCluster(route, variant, endpoints, options.copies?.(route))),
      ),
      ...pairs
        .filter(({ variant }) => failsOver(variant))
        .map(({ route, variant }) => named(ClusterSchema, failoverCluster(route, variant))),
      { name: reportClusterName, schema: ClusterSchema, message: reportCluster(options) },
      ...(options.edge?.traces ? [named(ClusterSchema, tracesCluster(options.edge.traces))] : []),
    ],
    EDS: endpointResources(pods),
    LDS: [
      { name: listenerName, schema: ListenerSchema, message: gatewayListener(routes, options) },
    ],
    RDS: [
      {
        name: routeConfigName,
        schema: RouteConfigurationSchema,
        message: routeConfiguration(routes),
      },
    ],
    ECDS: [
      named(TypedExtensionConfigSchema, wasmFilter(filterName, options.weir, failure)),
      ...(options.routeSelect
        ? [
            named(
              TypedExtensionConfigSchema,
              wasmFilter(selectFilterName, options.routeSelect, failure, { holdsHeaders: true }),
            ),
          ]
        : []),
      ...(options.tokenLimit
        ? [
            named(
              TypedExtensionConfigSchema,
              wasmFilter(tokenFilterName, options.tokenLimit, failure),
            ),
          ]
        : []),
    ],
  };
}

/** The endpoints of the variants that pods register for, as far as these pods are known. */
export function registeredResources(
  states: readonly RouteState[],
  registered: RegisteredPods,
): Resource[] {
  const pairs = pairsOf(routesOf(states)).filter(({ variant }) => variant.register);
  return endpointResources(podsOf(pairs, registered));
}

function routesOf(states: readonly RouteState[]): InferenceRoute[] {
  return states
    .flatMap(({ route }) => route ?? [])
    .filter((route) => route.spec?.variants.some(isForPlainEnvoys));
}

function pairsOf(routes: readonly InferenceRoute[]): Pair[] {
  return routes.flatMap((route) =>
    (route.spec?.variants ?? []).map((variant) => ({ route, variant })),
  );
}

/** What goes over EDS: names do not, and proxies keep the pods that they have while none are known. */
function endpointResources(pods: readonly PodsOf[]): Resource[] {
  return pods
    .filter(({ endpoints, isKnown }) => isKnown && !hasNames(endpoints))
    .map(({ endpoints }) => ({
      name: endpoints.clusterName,
      schema: ClusterLoadAssignmentSchema,
      message: endpoints,
    }));
}

function named(schema: DescMessage, message: Message & { name: string }): Resource {
  return { name: message.name, schema, message };
}
