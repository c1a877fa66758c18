import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { RouteStateSchema } from "../../../control/gen/weir/v1/service_pb.ts";
import { filterConfig, filterConfigText, parseRoutes } from "../../../control/route/index.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, requestHeaders } from "../module.ts";

const routeNamed = (name: string, spec: object) => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  metadata: { name, namespace: "inference" },
  spec: {
    hosts: ["chat.example.com"],
    variants: [{ name: "stable", weight: 100, endpoints: ["127.0.0.1:9001"] }],
    match: [{ model: { exact: name } }],
    ...spec,
  },
});

it("charges no tenant of one route for requests of another on the same host, whose tokens nobody counts", () => {
  const limited = {
    rateLimit: {
      identity: [{ header: "x-tenant-id" }],
      tiers: { none: { requestsPerSecond: 1000, tokensPerMinute: 1 } },
      default: "none",
    },
  };
  const documents = [routeNamed("counted", limited), routeNamed("free", {})];
  const { problems, routes } = parseRoutes(
    documents.map((each) => JSON.stringify(each)).join("\n---\n"),
  );
  expect(problems).toEqual([]);
  const states = routes.map((route) => create(RouteStateSchema, { route }));
  const config = JSON.parse(filterConfigText(filterConfig(states), "token-limit"));
  const worker = configuredProxy("token-limit", config).workers[0] as Worker;
  const statusFor = (name: string) => {
    const headers = { ":method": "POST", ":path": "/v1/chat/completions", "x-tenant-id": "acme" };
    const exchange = worker.exchange(
      requestHeaders({
        ...headers,
        "content-type": "application/json",
        "x-weir-route": `inference/${name}`,
      }),
    );
    const text = '{"model":"m","messages":[{"role":"user","content":"Hello"}],"max_tokens":500}';
    if (!exchange.reply()) exchange.requestBody(Buffer.from(text), true);
    return exchange.reply()?.status;
  };
  expect(statusFor("counted")).toBeUndefined();
  expect(statusFor("counted")).toBe(429);
  expect(statusFor("free")).toBeUndefined();
});
