import { create, type Message, toJson } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import type { Cluster } from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { OutlierDetectionSchema } from "../../control/gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import type { ClusterLoadAssignment } from "../../control/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { RouteAction } from "../../control/gen/envoy/config/route/v3/route_components_pb.ts";
import type { RouteConfiguration } from "../../control/gen/envoy/config/route/v3/route_pb.ts";
import { ClusterConfigSchema } from "../../control/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { draftRoute, parseRoute } from "../../control/route/index.ts";
import { buildResources } from "../../control/xds/index.ts";

const address = { host: "127.0.0.1", port: 1 };

/** What a plain Envoy gets for a canary of two pods with a fallback, but for what a test changes. */
function told({ canary = {}, stable = {}, resilience }: Record<string, object | undefined>) {
  const { problems, routes } = parseRoute({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      variants: [
        { name: "stable", weight: 90, endpoints: ["192.0.2.1:80"], ...stable },
        {
          name: "canary",
          weight: 10,
          endpoints: ["192.0.2.2:80"],
          fallback: ["stable"],
          ...canary,
        },
        { name: "other", weight: 0, endpoints: ["192.0.2.3:80"] },
      ],
      canary: { stickyBy: [{ header: "x-user-id" }] },
      ...(resilience ? { resilience } : {}),
    },
  });
  const [route] = routes;
  if (route === undefined) throw new Error(JSON.stringify(problems));
  const { CDS, EDS, RDS } = buildResources(
    [create(RouteStateSchema, draftRoute(route, undefined))],
    { gateway: address, report: address, weir: { wasm: { file: "/weir.wasm" }, config: "{}" } },
  );
  const named = <T extends Message>(from: { name: string; message: Message }[], name: string) =>
    from.find((each) => each.name === `inference/chat/${name}`)?.message as T | undefined;
  const [host] = (RDS[0]?.message as RouteConfiguration | undefined)?.virtualHosts ?? [];
  const action = (name: string) =>
    host?.routes.find((each) => each.name === `inference/chat/${name}`)?.action
      .value as RouteAction;
  return {
    cluster: (name: string) => named<Cluster>(CDS, name),
    endpoints: (name: string) => named<ClusterLoadAssignment>(EDS, name),
    action,
    retries: (name: string) => {
      const { numRetries, retryOn, retryPriority } = action(name).retryPolicy ?? {};
      return { numRetries, retryOn, elsewhere: retryPriority !== undefined };
    },
    bodyKept: (name: string) =>
      host?.routes.find((each) => each.name === `inference/chat/${name}`)?.requestBodyBufferLimit,
  };
}

function chain(cluster: Cluster | undefined): string[] | undefined {
  const type = cluster?.clusterDiscoveryType;
  if (type?.case !== "clusterType" || !type.value.typedConfig) return undefined;
  return anyUnpack(type.value.typedConfig, ClusterConfigSchema)?.clusters;
}

const ejection = (cluster: Cluster | undefined) =>
  cluster?.outlierDetection && toJson(OutlierDetectionSchema, cluster.outlierDetection);

const unseen = "connect-failure,refused-stream,reset-before-request";

describe("a variant with a fallback", () => {
  it("is a cluster of clusters, its own first", () => {
    const { action, cluster } = told({});
    expect(action("variant/canary").clusterSpecifier.value).toBe(
      "inference/chat/canary/or-fallback",
    );
    expect(action("variant/stable").clusterSpecifier.value).toBe("inference/chat/stable");
    expect(chain(cluster("canary/or-fallback"))).toEqual([
      "inference/chat/canary",
      "inference/chat/stable",
    ]);
    expect(cluster("stable/or-fallback")).toBeUndefined();
  });

  it("has its share of the weights there as well", () => {
    const weights = told({}).action("weights").clusterSpecifier;
    expect(weights).toMatchObject({
      value: {
        clusters: [
          { name: "inference/chat/stable", weight: 90 },
          { name: "inference/chat/canary/or-fallback", weight: 10 },
        ],
      },
    });
  });

  it("has pods in reserve before the others, and those of the others after them", () => {
    const { cluster, endpoints } = told({
      canary: { fallbackEndpoints: ["192.0.2.8:80"] },
      stable: { fallbackEndpoints: ["192.0.2.9:80"] },
    });
    expect(chain(cluster("canary/or-fallback"))).toEqual([
      "inference/chat/canary",
      "inference/chat/canary/reserve",
      "inference/chat/stable",
      "inference/chat/stable/reserve",
    ]);
    const pods = endpoints("canary/reserve")?.endpoints.flatMap((each) => each.lbEndpoints);
    expect(pods).toHaveLength(1);
  });

  it("ejects pods that cannot be reached, all of them, and uses none of those; others do not", () => {
    const { cluster, endpoints } = told({});
    const canary = cluster("canary");
    expect(ejection(canary)).toEqual({
      interval: "1s",
      baseEjectionTime: "10s",
      maxEjectionTime: "30s",
      maxEjectionPercent: 100,
      enforcingConsecutive5xx: 0,
      enforcingSuccessRate: 0,
      consecutiveGatewayFailure: 3,
      enforcingConsecutiveGatewayFailure: 100,
      successfulActiveHealthCheckUnejectHost: false,
    });
    expect(canary?.healthChecks.map(({ healthChecker }) => healthChecker.case)).toEqual([
      "tcpHealthCheck",
    ]);
    expect(canary?.commonLbConfig?.healthyPanicThreshold?.value).toBe(0);
    expect(canary?.connectTimeout?.seconds).toBe(1n);
    expect(endpoints("canary")?.policy?.overprovisioningFactor).toBe(102_400);
    for (const name of ["stable", "other"]) {
      expect(cluster(name)?.outlierDetection).toBeUndefined();
      expect(cluster(name)?.healthChecks).toEqual([]);
      expect(cluster(name)?.connectTimeout?.seconds).toBe(5n);
      expect(endpoints(name)?.policy).toBeUndefined();
    }
  });

  it("ejects the pods of a fallback that others follow, and asks them where none is left", () => {
    const { cluster } = told({ canary: { fallback: ["stable", "other"] } });
    expect(cluster("stable")?.outlierDetection?.consecutiveGatewayFailure).toBe(3);
    expect(cluster("stable")?.commonLbConfig?.healthyPanicThreshold?.value).toBe(1);
    expect(cluster("other")?.outlierDetection).toBeUndefined();
  });

  it("keeps what the route says of outlier detection", () => {
    const outlier = {
      consecutiveErrors: 7,
      consecutiveLocalFailures: 9,
      maxEjectionPercent: 50,
      minHealthPercent: 10,
    };
    const { cluster } = told({ resilience: { outlier } });
    const canary = cluster("canary");
    expect(ejection(canary)).toMatchObject({
      consecutive5xx: 7,
      interval: "10s",
      baseEjectionTime: "30s",
      maxEjectionPercent: 50,
      consecutiveLocalOriginFailure: 9,
    });
    expect(canary?.commonLbConfig?.healthyPanicThreshold?.value).toBe(10);
    const { maxEjectionPercent } =
      told({ resilience: { outlier: {} } }).cluster("stable")?.outlierDetection ?? {};
    expect(maxEjectionPercent).toBe(30);
  });

  it.each([
    [{ firstByteTimeout: "0.5s" }, 0n, 250_000_000],
    [{ timeout: "60s", firstByteTimeout: "20s" }, 1n, 0],
    [{ connections: { connectTimeout: "3s" } }, 3n, 0],
  ])("waits for a connection for less than for an answer: %o", (resilience, seconds, nanos) => {
    const { connectTimeout, healthChecks } = told({ resilience }).cluster("canary") ?? {};
    expect(connectTimeout).toMatchObject({ seconds, nanos });
    expect(healthChecks?.[0]?.timeout).toMatchObject({ seconds, nanos });
  });
});

describe("the requests of a variant with a fallback", () => {
  it("are sent on where no pod has seen them, once for each that may take over", () => {
    const { bodyKept, retries } = told({});
    const once = { numRetries: 1, retryOn: unseen, elsewhere: true };
    expect(retries("variant/canary")).toEqual(once);
    expect(retries("weights")).toEqual(once);
    expect(retries("variant/stable").retryOn).toBeUndefined();
    expect(bodyKept("variant/canary")).toBe(4_194_304n);
    expect(bodyKept("variant/stable")).toBeUndefined();
    const two = told({ canary: { fallback: ["stable", "other"] } });
    expect(two.retries("variant/canary").numRetries).toBe(2);
  });

  it.each([
    ["more attempts", { attempts: 5 }, 5, unseen],
    ["fewer attempts", { attempts: 1 }, 2, unseen],
    [
      "conditions under which a pod may have run them",
      { attempts: 1, retryOn: ["5xx"] },
      1,
      `5xx,${unseen}`,
    ],
    ["no attempts", { attempts: 0 }, 2, unseen],
  ])("keep what the route says of retries: %s", (_what, given, numRetries, retryOn) => {
    const { retries } = told({
      canary: { fallback: ["stable", "other"] },
      resilience: { retries: given },
    });
    expect(retries("variant/canary")).toEqual({ numRetries, retryOn, elsewhere: true });
  });
});

it("gives every pod the name of its variant", () => {
  const metadata = (told_: ReturnType<typeof told>) =>
    told_.endpoints("stable")?.endpoints[0]?.lbEndpoints[0]?.metadata?.filterMetadata;
  expect(metadata(told({}))).toEqual({ weir: { variant: "stable" } });
  expect(metadata(told({ canary: { fallback: [] } }))).toEqual({ weir: { variant: "stable" } });
});
