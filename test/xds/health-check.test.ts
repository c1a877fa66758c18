import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { CodecClientType } from "../../control/gen/envoy/type/v3/http_pb.ts";
import { type RouteSpec, RouteSpecSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { besideHealthCheck, healthChecks } from "../../control/xds/resources/health-check.ts";

const seconds = (value: number) => ({ seconds: BigInt(value) });
const spec = (healthCheck: object, more: object = {}): RouteSpec =>
  create(RouteSpecSchema, {
    hosts: ["*.example.com", "chat.example.com"],
    resilience: { healthCheck: { path: "/health", ...healthCheck }, ...more },
  });

it("asks nothing without a health check", () => {
  expect(healthChecks(create(RouteSpecSchema, {}))).toEqual({});
  expect(besideHealthCheck(undefined)).toEqual({});
});

it("asks as often where there is no traffic, and by the first host without a star", () => {
  expect(healthChecks(spec({}))).toMatchObject({
    healthChecks: [
      {
        interval: seconds(5),
        noTrafficInterval: seconds(5),
        timeout: seconds(5),
        unhealthyThreshold: 3,
        healthyThreshold: 1,
        healthChecker: {
          value: { path: "/health", host: "chat.example.com", expectedStatuses: [] },
        },
      },
    ],
    ignoreHealthOnHostRemoval: true,
  });
});

it("takes what a document says, and the pods' protocol", () => {
  const [check] =
    healthChecks(
      spec(
        {
          interval: seconds(1),
          timeout: seconds(2),
          unhealthyThreshold: 4,
          healthyThreshold: 2,
          expectedStatuses: [200, 204],
        },
        { connections: { http2: true } },
      ),
    ).healthChecks ?? [];
  expect(check).toMatchObject({
    interval: seconds(1),
    noTrafficInterval: seconds(1),
    timeout: seconds(2),
    unhealthyThreshold: 4,
    healthyThreshold: 2,
    healthChecker: {
      value: {
        codecClientType: CodecClientType.HTTP2,
        expectedStatuses: [
          { start: 200n, end: 201n },
          { start: 204n, end: 205n },
        ],
      },
    },
  });
});

it("a route of wildcards alone asks by a name of this machine", () => {
  const [check] = healthChecks({ ...spec({}), hosts: ["*"] } as RouteSpec).healthChecks ?? [];
  expect(check).toMatchObject({ healthChecker: { value: { host: "localhost" } } });
});
