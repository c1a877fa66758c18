import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { ClusterSchema } from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../control/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { filterConfig, filterConfigText } from "../../control/route/index.ts";
import {
  buildResources,
  createSnapshot,
  type RegisteredPods,
  registeredResources,
  type Snapshot,
  withEndpoints,
} from "../../control/xds/index.ts";
import { openRoute } from "../registration/registered.ts";

const address = (port: number) => ({ host: "127.0.0.1", port });
const states = [create(RouteStateSchema, { route: openRoute(), etag: "1" })];
const name = "inference/chat/stable";

function snapshot(registered: RegisteredPods): Snapshot {
  const config = filterConfigText(filterConfig(states));
  return createSnapshot(
    buildResources(states, {
      gateway: address(10000),
      report: address(8080),
      weir: { wasm: { file: "/weir.wasm" }, config },
      registered,
    }),
  );
}

/** The pods of the variant as proxies are sent them, with their weights; undefined: nothing is sent. */
function podsIn({ EDS }: Snapshot) {
  const sent = EDS.resources.get(name);
  const message = sent && anyUnpack(fromBinary(AnySchema, sent.any), ClusterLoadAssignmentSchema);
  return message?.endpoints.flatMap(({ lbEndpoints }) =>
    lbEndpoints.map(({ hostIdentifier, loadBalancingWeight }) => {
      const socket =
        hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return socket?.case === "socketAddress"
        ? [socket.value.address, socket.value.portSpecifier.value, loadBalancingWeight]
        : [];
    }),
  );
}

describe("a variant that pods register for", () => {
  it("has a cluster without a pod", () => {
    const none = snapshot(() => []);
    expect(podsIn(none)).toEqual([]);
    const any = none.CDS.resources.get(name)?.any ?? new Uint8Array();
    // A pod that drains must go although a health check calls it healthy.
    expect(anyUnpack(fromBinary(AnySchema, any), ClusterSchema)?.ignoreHealthOnHostRemoval).toBe(
      true,
    );
  });
  it("has the pods that registered, with their capacities", () => {
    const registered = snapshot(() => [
      { address: "10.0.0.1:8000", capacity: 1 },
      { address: "[2001:db8::1]:8000", capacity: 7 },
    ]);
    expect(podsIn(registered)).toEqual([
      ["10.0.0.1", 8000, undefined],
      ["2001:db8::1", 8000, 7],
    ]);
  });
  it("is sent no endpoints while its pods are not known", () => {
    expect(podsIn(snapshot(() => undefined))).toBeUndefined();
  });
});

describe("pods that come and go", () => {
  const pods = (...addresses: string[]) =>
    registeredResources(states, () => addresses.map((each) => ({ address: each, capacity: 1 })));

  it("change endpoints alone", () => {
    const before = snapshot(() => []);
    const after = withEndpoints(before, pods("10.0.0.1:8000"));
    expect(podsIn(after)).toHaveLength(1);
    expect({ ...after, EDS: before.EDS }).toEqual(before);
    expect(after.EDS.version).not.toBe(before.EDS.version);
    expect(after).toEqual(snapshot(() => [{ address: "10.0.0.1:8000", capacity: 1 }]));
  });
  it("that are the same as before change nothing", () => {
    const before = snapshot(() => []);
    expect(withEndpoints(before, pods())).toBe(before);
  });
});
