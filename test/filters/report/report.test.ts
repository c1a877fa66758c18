import { fromJsonString } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ReportRequestSchema } from "../../../control/gen/weir/v1/report_pb.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";

const reporting = () => ({
  ...fullConfig(),
  report: { cluster: "weir_control", authority: "127.0.0.1:8080", intervalMs: 1000 },
});

it("has one worker report for all of them, in the API's own form", () => {
  const { shared, workers } = configuredProxy("weir", reporting(), 3);
  for (const worker of workers)
    for (let i = 0; i < 10; i++)
      worker.request(requestHeaders({ "x-tenant-id": "acme", "x-user-id": `u${i}` }));
  for (const worker of workers) worker.tick(1);
  for (const worker of workers) worker.tick(1);
  expect(shared.httpCalls).toHaveLength(2);
  const last = shared.httpCalls.at(-1);
  expect(last?.cluster).toBe("weir_control");
  expect(Object.fromEntries(last?.headers ?? [])).toMatchObject({
    ":method": "POST",
    ":path": "/weir.v1.ReportService/Report",
    "content-type": "application/json",
  });
  const report = fromJsonString(ReportRequestSchema, last?.body ?? "");
  expect(report).toMatchObject({ node: "test-node", revision: "r1" });
  const requests = report.counters.filter(({ name }) => name === "canary_requests");
  expect(requests.reduce((sum, { value }) => sum + Number(value), 0)).toBe(30);
  expect(report.counters).toContainEqual(
    expect.objectContaining({
      name: "rate_limit_admitted",
      route: "inference/chat",
      label: "gold",
      value: 30n,
    }),
  );
});

it("has another worker take over from one that fell silent, with nothing lost", () => {
  const { shared, workers } = configuredProxy("weir", reporting(), 2);
  workers[0]?.request(requestHeaders());
  workers[0]?.tick(1);
  workers[1]?.tick(1);
  expect(shared.httpCalls).toHaveLength(1);
  shared.nowNs += 4_000_000_000n;
  workers[1]?.tick(1);
  expect(shared.httpCalls).toHaveLength(2);
  const [first, second] = shared.httpCalls.map(({ body }) =>
    fromJsonString(ReportRequestSchema, body),
  );
  expect(second?.epoch).toBe(first?.epoch);
  expect(second?.counters).toEqual(first?.counters);
});

it("reports to no one when it was not told to", () => {
  const { shared, workers } = configuredProxy("weir", fullConfig());
  workers[0]?.tick(1);
  expect(shared.httpCalls).toEqual([]);
});

it.each(["weir", "weir-full", "rate-limit"])(
  "loses nothing that %s.wasm counted since the last tick when its worker's VM goes",
  (name) => {
    const { shared, workers } = configuredProxy(name, reporting(), 2);
    for (let i = 0; i < 10; i++)
      workers[1]?.request(requestHeaders({ "x-tenant-id": "acme", "x-user-id": "ada" }));
    workers[1]?.remove(1);
    workers[0]?.tick(1);
    const report = fromJsonString(ReportRequestSchema, shared.httpCalls.at(-1)?.body ?? "");
    const admitted = report.counters.find((each) => each.name === "rate_limit_admitted");
    expect(admitted).toMatchObject({ label: "gold", value: 10n });
  },
);
