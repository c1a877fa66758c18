import type { DescMessage, Message } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../../gen/envoy/config/core/v3/extension_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { filterFailureOf } from "../../route/index.ts";
import type { TypeName } from "../types.ts";
import { variantCluster, variantEndpoints } from "./cluster.ts";
import { hasNames } from "./discovery.ts";
import { wasmFilter } from "./extension.ts";
import { gatewayListener } from "./listener.ts";
import {
  filterName,
  listenerName,
  type ResourceOptions,
  reportClusterName,
  routeConfigName,
  tokenFilterName,
} from "./options.ts";
import { reportCluster } from "./report-cluster.ts";
import { routeConfiguration } from "./routes.ts";
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
  const failure = filterFailureOf(routes);
  return {
    CDS: [
      ...pairs.map(({ route, variant }) =>
        named(ClusterSchema, variantCluster(route, variant, options.copies?.(route))),
      ),
      { name: reportClusterName, schema: ClusterSchema, message: reportCluster(options) },
      ...(options.edge?.traces ? [named(ClusterSchema, tracesCluster(options.edge.traces))] : []),
    ],
    EDS: pairs
      .map(({ route, variant }) => variantEndpoints(route, variant))
      .filter((message) => !hasNames(message))
      .map((message) => ({
        name: message.clusterName,
        schema: ClusterLoadAssignmentSchema,
        message,
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
