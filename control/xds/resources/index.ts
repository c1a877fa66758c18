import type { DescMessage, Message } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../../gen/envoy/config/core/v3/extension_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { failsOver, filterFailureOf } from "../../route/index.ts";
import type { TypeName } from "../types.ts";
import { podsCluster } from "./cluster.ts";
import { hasNames } from "./discovery.ts";
import { podsOf } from "./endpoints.ts";
import { wasmFilter } from "./extension.ts";
import { failoverCluster } from "./failover.ts";
import { gatewayListener } from "./listener.ts";
import {
  filterName,
  listenerName,
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
  const routes = states
    .flatMap(({ route }) => route ?? [])
    .filter((route) => route.spec?.variants.some(({ endpoints }) => endpoints.length > 0));
  const pairs = routes.flatMap((route) =>
    (route.spec?.variants ?? []).map((variant) => ({ route, variant })),
  );
  const pods = pairs.flatMap(({ route, variant }) =>
    podsOf(route, variant).map((endpoints) => ({ route, variant, endpoints })),
  );
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
    EDS: pods
      .filter(({ endpoints }) => !hasNames(endpoints))
      .map(({ endpoints }) => ({
        name: endpoints.clusterName,
        schema: ClusterLoadAssignmentSchema,
        message: endpoints,
      })),
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

function named(schema: DescMessage, message: Message & { name: string }): Resource {
  return { name: message.name, schema, message };
}
