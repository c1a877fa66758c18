import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MetricQuerySchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { begin } from "../../control/rollout/machine/commands.ts";
import { capacityGates } from "../../control/rollout/sources/capacity.ts";
import {
  createPrometheus,
  queryVerdict,
  readAnswer,
} from "../../control/rollout/sources/prometheus.ts";
import { createWebhooks } from "../../control/rollout/sources/webhook.ts";
import { rolloutOf, routeOf } from "./world.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});
/** A server that gives one answer; undefined: none, ever. */
async function answering(status: number, body: string | undefined): Promise<string> {
  server = createServer((req, res) => {
    req.resume();
    if (body !== undefined) res.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const nowMs = 1_000_000_000;
const noTime = (time: unknown) =>
  JSON.stringify({
    status: "success",
    data: { resultType: "vector", result: [{ metric: {}, value: [time, "0.1"] }] },
  });
const vector = (...values: string[]) =>
  JSON.stringify({
    status: "success",
    data: {
      resultType: "vector",
      result: values.map((value) => ({ metric: {}, value: [nowMs / 1000, value] })),
    },
  });

describe("an answer of Prometheus", () => {
  const query = create(MetricQuerySchema, { name: "errors", query: "up", max: 0.5 });
  it.each([
    ["a number within the limit", vector("0.1"), "pass"],
    ["a number beyond it", vector("0.7"), "fail"],
    ["not a number", vector("NaN"), "missing"],
    ["infinity", vector("+Inf"), "missing"],
    ["minus infinity, which is below every maximum", vector("-Inf"), "missing"],
    ["nothing", vector(), "missing"],
    ["two results", vector("0.1", "0.1"), "missing"],
    ["an error", JSON.stringify({ status: "error", error: "bad query" }), "missing"],
    ["no JSON", "<html>", "missing"],
    ["null", "null", "missing"],
    [
      "a matrix",
      JSON.stringify({ status: "success", data: { resultType: "matrix", result: [] } }),
      "missing",
    ],
    [
      "a scalar",
      JSON.stringify({
        status: "success",
        data: { resultType: "scalar", result: [nowMs / 1000, "0.2"] },
      }),
      "pass",
    ],
    ["an empty string", vector(""), "missing"],
    ["a number without a time", noTime(null), "missing"],
    ["a number whose time is none", noTime("now"), "missing"],
    ["text", vector("low"), "missing"],
  ])("%s", (_what, text, outcome) => {
    const verdict = queryVerdict(query, readAnswer(text, nowMs));
    expect(verdict.outcome).toBe(outcome);
  });

  it("is missing when it is old, and says how old", () => {
    const verdict = queryVerdict(query, readAnswer(vector("0.1"), nowMs + 90_000));
    expect(verdict).toMatchObject({
      outcome: "missing",
      message: "errors missing: the answer is 90 s old, at most 60 s are allowed",
    });
  });

  it("is missing when the server is down, and inconclusive before it was asked", async () => {
    const spec = rolloutOf({
      steps: [{ weight: 5 }],
      analysis: { queries: [{ name: "errors", query: "up", max: 1 }] },
    }).spec;
    const base = await answering(503, "down");
    const ask = createPrometheus(base, {
      monotonicMs: () => performance.now(),
      now: () => new Date(),
    });
    if (!spec) throw new Error("no spec");
    expect(ask("r", spec)[0]?.outcome).toBe("inconclusive");
    await vi.waitFor(() =>
      expect(ask("r", spec)[0]).toMatchObject({
        outcome: "missing",
        message: "errors missing: status 503",
      }),
    );
  });
});

describe("a webhook", () => {
  const state = begin(
    rolloutOf({ steps: [{ weight: 5 }], gates: [{ name: "approval" }] }),
    routeOf(),
    new Date(),
  );
  it.each([
    [200, "go", { open: true }],
    [202, "", { open: true }],
    [204, "", { open: false }],
    [
      409,
      "the launch is off",
      { open: false, rollback: true, message: "status 409: the launch is off" },
    ],
    [500, "", { open: false }],
    [302, "", { open: false }],
  ])("that answers %d", async (status, body, expected) => {
    const url = await answering(status, body);
    const ask = createWebhooks(new Map([["approval", url]]), () => performance.now());
    expect(ask("r", state)).toMatchObject([{ open: false, message: "has not answered yet" }]);
    await vi.waitFor(() => expect(ask("r", state)).toMatchObject([expected]));
  });

  it("that never answers stays shut, and says why", { timeout: 10_000 }, async () => {
    const url = await answering(200, undefined);
    const ask = createWebhooks(new Map([["approval", url]]), () => performance.now());
    ask("r", state);
    await vi.waitFor(
      () => expect(ask("r", state)).toMatchObject([{ open: false, message: "no answer in time" }]),
      { timeout: 8000 },
    );
  });

  it("that no one knows stays shut", () => {
    expect(createWebhooks(new Map(), () => 0)("r", state)).toMatchObject([{ open: false }]);
  });
});

describe("the pods' capacity", () => {
  const spec = (capacity: object) => {
    const found = rolloutOf({ steps: [{ weight: 5 }], capacity }).spec;
    if (!found) throw new Error("no spec");
    return found;
  };
  const pod = { server: "vllm", running: 8, waiting: 3, cache: 0.5 };
  it.each([
    [
      { readyEndpoints: 2 },
      [
        ["a", pod],
        ["b", pod],
      ],
      true,
      "",
    ],
    [
      { readyEndpoints: 2 },
      [
        ["a", pod],
        ["b", "no answer in time"],
      ],
      false,
      "ready pods: 1 of at least 2: b no answer in time",
    ],
    [{}, [["a", "no answer in time"]], false, "ready pods: 0 of at least 1: a no answer in time"],
    [{ queueDepth: 3 }, [["a", pod]], true, ""],
    [{ queueDepth: 2 }, [["a", pod]], false, "queue: 3 a pod, the limit is 2 a pod"],
    [
      { kvCachePercent: 80 },
      [
        ["a", pod],
        ["b", { ...pod, cache: 0.93 }],
      ],
      false,
      "kv cache: 93 %, the limit is 80 %",
    ],
    [
      { inFlight: 20 },
      [
        ["a", pod],
        ["b", pod],
      ],
      true,
      "",
    ],
    [
      { inFlight: 19 },
      [
        ["a", pod],
        ["b", pod],
      ],
      false,
      "in flight after the step: 20 a pod, the limit is 19 a pod",
    ],
  ] as const)("%j for %j: %s", (capacity, pods, open, words) => {
    const gates = capacityGates(spec(capacity), pods as never, 40);
    expect(gates.every((gate) => gate.open)).toBe(open);
    const shut = gates.filter((gate) => !gate.open).map((gate) => `${gate.name}: ${gate.message}`);
    expect(shut.join()).toBe(words);
  });

  it("is no reason to go on where a pod does not tell it", () => {
    const quiet = { server: "vllm", running: 2, waiting: undefined, cache: undefined };
    const limits = { queueDepth: 5, kvCachePercent: 90, inFlight: 50 };
    const pods = [["a", pod] as const, ["b", quiet] as const];
    const gates = capacityGates(spec(limits), pods, "10.0.0.3:8000 no answer in time");
    expect(gates.map(({ name, open, message }) => [name, open, message])).toEqual([
      ["ready pods", true, "2 of at least 1"],
      ["queue", false, "not reported by every pod, the limit is 5 a pod"],
      ["kv cache", false, "not reported by every pod, the limit is 90 %"],
      ["in flight after the step", false, "unknown: 10.0.0.3:8000 no answer in time"],
    ]);
  });

  it("of pods that do not tell what they have in work opens no gate on that", () => {
    const silent = { server: "triton", running: undefined, waiting: 0, cache: undefined };
    const gates = capacityGates(spec({ inFlight: 50 }), [["a", silent] as const], Number.NaN);
    expect(gates.find(({ name }) => name.startsWith("in flight"))?.open).toBe(false);
  });
});
