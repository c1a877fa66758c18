import type { DescMessage, Message } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../../gen/envoy/config/core/v3/extension_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { InferenceRoute, Variant } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { filterFailureOf, isForPlainEnvoys, routeName } from "../../route/index.ts";
import type { TypeName } from "../types.ts";
import { variantCluster, variantEndpoints } from "./cluster.ts";
import { wasmFilter } from "./extension.ts";
import { gatewayListener } from "./listener.ts";
import {
  filterName,
  listenerName,
  type RegisteredPods,
  type ResourceOptions,
  reportClusterName,
  routeConfigName,
  tokenFilterName,
} from "./options.ts";
import { reportCluster } from "./report-cluster.ts";
import { routeConfiguration } from "./routes.ts";

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
  const failure = filterFailureOf(routes);
  return {
    CDS: [
      ...pairs.map(({ route, variant }) =>
        named(ClusterSchema, variantCluster(route, variant, options.copies?.(route))),
      ),
      { name: reportClusterName, schema: ClusterSchema, message: reportCluster(options) },
    ],
    EDS: endpointResources(pairs, options.registered),
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

/** The endpoints of the variants that pods register for, as far as these pods are known. */
export function registeredResources(
  states: readonly RouteState[],
  registered: RegisteredPods,
): Resource[] {
  const pairs = pairsOf(routesOf(states)).filter(({ variant }) => variant.register);
  return endpointResources(pairs, registered);
}

function routesOf(states: readonly RouteState[]): InferenceRoute[] {
  return states
    .flatMap(({ route }) => route ?? [])
    .filter((route) => route.spec?.variants.some(isForPlainEnvoys));
}

interface Pair {
  route: InferenceRoute;
  variant: Variant;
}

function pairsOf(routes: readonly InferenceRoute[]): Pair[] {
  return routes.flatMap((route) =>
    (route.spec?.variants ?? []).map((variant) => ({ route, variant })),
  );
}

function endpointResources(
  pairs: readonly Pair[],
  registered: RegisteredPods = () => [],
): Resource[] {
  return pairs.flatMap(({ route, variant }) => {
    const pods = variant.register ? registered(routeName(route), variant.name) : [];
    if (pods === undefined) return [];
    const message = variantEndpoints(route, variant, pods);
    return [{ name: message.clusterName, schema: ClusterLoadAssignmentSchema, message }];
  });
}

function named(schema: DescMessage, message: Message & { name: string }): Resource {
  return { name: message.name, schema, message };
}
