import { create } from "@bufbuild/protobuf";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { draftRoute, filterConfig, filterConfigText } from "../../control/route/index.ts";
import { buildResources, createSnapshot, type Snapshot } from "../../control/xds/index.ts";
import { messageWith } from "../route/documents.ts";

/** A snapshot of one route with these weights; every variant has one endpoint. */
export function snapshotOf(weights: Record<string, number>, gatewayPort = 10000): Snapshot {
  const route = messageWith(weights);
  route.spec?.variants.forEach((variant, i) => {
    variant.endpoints = [`127.0.0.1:${9001 + i}`];
  });
  const states = [create(RouteStateSchema, { ...draftRoute(route, undefined), etag: "1" })];
  const address = (port: number) => ({ host: "127.0.0.1", port });
  return createSnapshot(
    buildResources(states, {
      gateway: address(gatewayPort),
      report: address(8080),
      wasm: { file: "/weir.wasm" },
      filterConfig: filterConfigText(filterConfig(states)),
    }),
  );
}
