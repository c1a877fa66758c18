import type { MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import {
  type ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
} from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { parseRoute } from "../../control/route/index.ts";
import { buildResources } from "../../control/xds/index.ts";
import { edgeRoute } from "../e2e/edge-route.ts";

/** The cluster of a variant with these endpoints, and the names of what goes over EDS. */
function resourcesOf(endpoints: string[], fallbackEndpoints: string[] = []) {
  const variants = [{ name: "stable", weight: 100, endpoints, fallbackEndpoints }];
  const { problems, routes } = parseRoute(edgeRoute("", { variants }));
  expect(problems).toEqual([]);
  const address = { host: "127.0.0.1", port: 1 };
  const { CDS, EDS } = buildResources(
    routes.map((route) => create(RouteStateSchema, { route })),
    { gateway: address, report: address, weir: { wasm: { file: "/weir.wasm" }, config: "{}" } },
  );
  const cluster = CDS[0]?.message as MessageShape<typeof ClusterSchema>;
  return {
    type: cluster.clusterDiscoveryType.value,
    inside: (cluster.loadAssignment?.endpoints ?? []).map(({ lbEndpoints }) =>
      lbEndpoints.map(({ hostIdentifier }) => {
        const address =
          hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
        return address?.case === "socketAddress" ? address.value.address : "";
      }),
    ),
    discovered: EDS.map(({ name }) => name),
  };
}

it("addresses alone come over EDS", () => {
  expect(resourcesOf(["192.0.2.1:80", "[2001:db8::1]:80"])).toEqual({
    type: DiscoveryType.EDS,
    inside: [],
    discovered: ["inference/chat/stable"],
  });
});

it("a name, and all that is beside it, is in the cluster; pods in reserve have one of their own", () => {
  expect(resourcesOf(["192.0.2.1:80", "gpu-1:80", "[2001:db8::1]:80"], ["192.0.2.9:80"])).toEqual({
    type: DiscoveryType.STRICT_DNS,
    inside: [["192.0.2.1", "gpu-1", "2001:db8::1"]],
    discovered: ["inference/chat/stable/reserve"],
  });
});
