import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { BytesValueSchema, DurationSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { FilterConfigSchema } from "../../control/gen/weir/v1/filter_pb.ts";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { protoJson } from "../../control/route/filter/proto-json.ts";
import {
  draftRoute,
  filterConfig,
  parseRoutes,
  type ReportTarget,
} from "../../control/route/index.ts";
import { createRandom, randomRoute } from "../istio/random-route.ts";

const random = createRandom(7);
const states: RouteState[] = Array.from({ length: 300 }, (_, index) =>
  parseRoutes(randomRoute(random, index)),
).flatMap(({ problems, routes }) =>
  problems.length > 0
    ? []
    : routes.map((route) => create(RouteStateSchema, draftRoute(route, undefined))),
);

/** What the filters of these routes are given, as a message. */
const configOf = (of: readonly RouteState[], target?: ReportTarget) =>
  fromJson(FilterConfigSchema, filterConfig(of, target));

test("each route's configuration is written as toJson writes it, byte for byte", () => {
  expect(states.length).toBeGreaterThan(100);
  for (const state of states) {
    const config = configOf([state]);
    const text = JSON.stringify(toJson(FilterConfigSchema, config));
    expect(JSON.stringify(protoJson(FilterConfigSchema, config))).toBe(text);
    expect(JSON.stringify(filterConfig([state]))).toBe(text);
  }
});

test("it makes no difference whether it is a message yet", () => {
  const target = { cluster: "weir", authority: "weir:8080", intervalMs: 1000 };
  const config = configOf(states, target);
  const text = JSON.stringify(toJson(FilterConfigSchema, config));
  expect(JSON.stringify(protoJson(FilterConfigSchema, config))).toBe(text);
  const { $typeName: _, ...init } = structuredClone({ ...config, routes: [] });
  expect(protoJson(FilterConfigSchema, { ...init, routes: config.routes })).toEqual(
    JSON.parse(text),
  );
  expect(protoJson(FilterConfigSchema, {})).toEqual({});
});

test("zero that was set is told from what was not, large numbers are strings", () => {
  const routes = [
    {
      tokenLimit: {
        tiers: { a: {}, b: { tokensPerMinute: 0n }, c: { tokensPerMinute: 2n ** 60n } },
      },
    },
  ];
  const shadow = { percent: Number.POSITIVE_INFINITY, maxBodyBytes: 0 };
  const given = { routes: [...routes, { rateLimit: { concurrent: 0 }, shadow }] };
  expect(protoJson(FilterConfigSchema, given)).toEqual(
    toJson(FilterConfigSchema, create(FilterConfigSchema, given)),
  );
});

test("what it cannot write is refused", () => {
  expect(() => protoJson(DurationSchema, { seconds: 1n })).toThrow("google.protobuf.Duration");
  expect(() => protoJson(BytesValueSchema, {})).toThrow("google.protobuf.BytesValue");
});
