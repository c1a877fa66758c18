import { clone, create } from "@bufbuild/protobuf";
import { type InferenceRoute, InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { draftRoute, filterConfig, filterConfigText } from "../../control/route/index.ts";
import {
  buildResources,
  createSnapshot,
  type FilterCode,
  type Snapshot,
} from "../../control/xds/index.ts";
import { messageWith } from "../route/documents.ts";

const address = (port: number) => ({ host: "127.0.0.1", port });

function snapshot(
  route: InferenceRoute,
  gatewayPort: number,
  wasm: FilterCode["wasm"],
  filters?: string,
): Snapshot {
  const states = [create(RouteStateSchema, { ...draftRoute(route, undefined), etag: "1" })];
  return createSnapshot(
    buildResources(states, {
      gateway: address(gatewayPort),
      report: address(8080),
      weir: { wasm, config: filters ?? filterConfigText(filterConfig(states)) },
    }),
  );
}

/** A snapshot of one route with these weights; every variant has one endpoint. */
export function snapshotOf(weights: Record<string, number>): Snapshot {
  const route = messageWith(weights);
  route.spec?.variants.forEach((variant, i) => {
    variant.endpoints = [`127.0.0.1:${9001 + i}`];
  });
  return snapshot(route, 10000, { file: "/weir.wasm" });
}

/** A snapshot of a route of two variants for a real Envoy, with a filter configuration of the test's choice. */
export function snapshotWith(
  given: InferenceRoute,
  weights: readonly [number, number],
  gatewayPort: number,
  wasm: Uint8Array,
  filters?: string,
): Snapshot {
  const route = clone(InferenceRouteSchema, given);
  route.spec?.variants.forEach((variant, i) => {
    variant.weight = weights[i] ?? 0;
  });
  return snapshot(route, gatewayPort, { bytes: wasm }, filters);
}
