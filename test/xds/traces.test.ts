import { expect, it } from "vitest";
import { Cluster_DiscoveryType as DiscoveryType } from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { buildResources } from "../../control/xds/index.ts";
import type { Traces } from "../../control/xds/resources/options.ts";
import { tracesCluster, tracing } from "../../control/xds/resources/traces.ts";

const traces = (host: string, protocol: "http" | "grpc" = "http"): Traces => ({
  collector: { host, port: 4318, protocol, path: "/v1/traces" },
  percent: 2.5,
  serviceName: "edge",
});

it("samples the share that is asked for, and nothing because a client wants it", () => {
  expect(tracing(traces("otel"))).toMatchObject({
    clientSampling: { value: 0 },
    randomSampling: { value: 2.5 },
    maxPathTagLength: 0,
  });
});

it("resolves the name of a collector, and takes an address as it is", () => {
  const { STATIC, STRICT_DNS } = DiscoveryType;
  expect(tracesCluster(traces("otel")).clusterDiscoveryType.value).toBe(STRICT_DNS);
  for (const host of ["192.0.2.1", "2001:db8::1"])
    expect(tracesCluster(traces(host)).clusterDiscoveryType.value).toBe(STATIC);
  expect(Object.keys(tracesCluster(traces("otel")).typedExtensionProtocolOptions)).toEqual([]);
  expect(Object.keys(tracesCluster(traces("otel", "grpc")).typedExtensionProtocolOptions)).toEqual([
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
  ]);
});

it("the collector is a cluster only where requests are traced", () => {
  const address = { host: "127.0.0.1", port: 1 };
  const weir = { wasm: { file: "/weir.wasm" }, config: "{}" };
  const clusters = (edge: object) =>
    buildResources([], { gateway: address, report: address, weir, edge }).CDS.map(
      ({ name }) => name,
    );
  expect(clusters({})).toEqual(["weir_control"]);
  expect(clusters({ traces: traces("otel") })).toEqual(["weir_control", "weir_traces"]);
});
