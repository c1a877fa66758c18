import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { describeSaturation } from "../../control/cli/saturation.ts";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { ObservedLoadSchema, PodLoadSchema } from "../../control/gen/weir/v1/signals_pb.ts";
import { createKnownLoads, type PodLoads } from "../../control/loads/index.ts";
import { createMetrics, saturationMetrics } from "../../control/metrics/index.ts";

let nowMs = 1_000_000;

/** A route that sheds load, or one that does not. */
const state = (name: string, sheds = true) =>
  create(RouteStateSchema, {
    route: {
      metadata: { name, namespace: "inference" },
      spec: {
        variants: [
          { name: "stable", weight: 90, endpoints: ["10.0.0.1:80", "10.0.0.2:80"] },
          { name: "canary", weight: 10, endpoints: ["10.0.0.3:80"] },
        ],
        ...(sheds ? { rateLimit: { overload: {} } } : {}),
      },
    },
  });

const report = (node: string, ...said: [route: string, source: string, permille: number][]) =>
  create(ReportRequestSchema, {
    node,
    saturations: said.map(([route, source, permille]) => ({ route, source, permille })),
  });

/** Pods of which each has this many requests waiting; 5 are the mark. */
const pods = (waiting: Record<string, number>): PodLoads => ({
  of: (endpoint) =>
    endpoint in waiting
      ? { server: "vllm", running: 1, waiting: waiting[endpoint], cache: undefined }
      : "no answer in time",
  asked: () => Promise.resolve(),
});

const known = (podLoads?: PodLoads, asks = true) => {
  const loads = createKnownLoads(
    podLoads,
    () => asks,
    () => nowMs,
  );
  loads.follow([state("chat"), state("plain", false)]);
  return loads;
};
const chat = "inference/chat";

describe("what proxies see of how busy pods are", () => {
  it("is the mean of those that said something in the last ten seconds, by source", () => {
    const { observed } = known();
    observed.take(report("a", [chat, "answers", 400], [chat, "estimate", 100]));
    observed.take(report("b", [chat, "answers", 800]));
    expect(observed.of(chat)).toEqual([
      { source: "answers", permille: 600, proxies: 2 },
      { source: "estimate", permille: 100, proxies: 1 },
    ]);
    nowMs += 9_000;
    observed.take(report("b", [chat, "answers", 200]));
    nowMs += 2_000;
    expect(observed.of(chat)).toEqual([{ source: "answers", permille: 200, proxies: 1 }]);
  });

  it("is kept of no route that sheds no load or is not there, of no other source, and no value that no filter has", () => {
    const { observed } = known();
    observed.take(
      report(
        "a",
        ["inference/plain", "answers", 1],
        ["inference/gone", "answers", 1],
        [chat, "rumour", 1],
        [chat, "answers", 100_001],
      ),
    );
    expect(observed.routes()).toEqual([]);
    expect([chat, "inference/plain", "inference/gone"].flatMap(observed.of)).toEqual([]);
  });

  it("goes with its route", () => {
    const loads = known();
    loads.observed.take(report("a", [chat, "answers", 400]));
    loads.follow([]);
    expect(loads.observed.of(chat)).toEqual([]);
  });
});

describe("the load of pods by source", () => {
  const waiting = { "10.0.0.1:80": 5, "10.0.0.3:80": 10 };
  const lines = async (asks: boolean, tells: boolean) => {
    const loads = known(pods(waiting), asks);
    loads.observed.take(report("a", [chat, "answers", 400], [chat, "estimate", 0]));
    const text = await createMetrics(saturationMetrics(loads, () => tells)).text();
    return text.split("\n").filter((line) => line.startsWith("weir_saturation{"));
  };
  const metrics = [
    'weir_saturation{route="inference/chat",source="metrics",variant="stable"} 1',
    'weir_saturation{route="inference/chat",source="metrics",variant="canary"} 2',
  ];
  const observed = [
    'weir_saturation{route="inference/chat",source="answers"} 0.4',
    'weir_saturation{route="inference/chat",source="estimate"} 0',
  ];

  it("is a metric: of each variant what its pods say, of the route what proxies see", async () => {
    expect(await lines(true, true)).toEqual([...metrics, ...observed]);
  });

  it("is told by the replica that asks the pods, and by one for all", async () => {
    expect(await lines(false, true)).toEqual(observed);
    expect(await lines(true, false)).toEqual(metrics);
  });

  it("is a table in weir status and weir pods, and nothing where nobody says anything", () => {
    const pod = (variant: string, saturationPercent?: number) =>
      create(PodLoadSchema, {
        variant,
        ...(saturationPercent === undefined ? {} : { saturationPercent }),
      });
    const told = [pod("stable", 40), pod("stable", 60), pod("stable"), pod("canary")];
    const estimate = create(ObservedLoadSchema, {
      source: "estimate",
      saturationPercent: 12.4,
      proxies: 3,
    });
    const [text = ""] = describeSaturation(told, [estimate]);
    expect(text.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
      ["LOAD OF", "SATURATION", "SOURCE", "REPORTED BY"],
      ["stable", "50 %", "pods' metrics", "2 pods"],
      ["all variants", "12 %", "proxies' estimate", "3 proxies"],
    ]);
    expect(describeSaturation([pod("canary")], [])).toEqual([]);
  });
});
