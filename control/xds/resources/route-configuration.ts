import { create } from "@bufbuild/protobuf";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { hostGroups } from "../../route/index.ts";
import { routeConfigName } from "./options.ts";
import { virtualHost } from "./virtual-hosts.ts";

/** The one route configuration: a virtual host for all hosts that the same routes answer for. */
export function routeConfiguration(routes: readonly InferenceRoute[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: routeConfigName,
    // The filters look hosts up without a port, also without an empty one, which Envoy's listener leaves.
    ignorePortInHostMatching: true,
    virtualHosts: hostGroups(routes).map(virtualHost),
  });
}
