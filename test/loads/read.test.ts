import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { byTraffic, readLoad, saturation } from "../../control/loads/index.ts";
import { vllmMetrics } from "./metrics-text.ts";

const read = (text: string) => {
  const { family: _, ...load } = readLoad(Buffer.from(text));
  return load;
};

describe("a pod's load", () => {
  it("is read out of vLLM's page of tens of kilobytes", () => {
    const text = vllmMetrics(12, 7, 0.83);
    expect(text.length).toBeGreaterThan(50_000);
    expect(read(text)).toEqual({ server: "vllm", running: 12, waiting: 7, cache: 0.83 });
  });

  it.each([
    [
      "several models",
      'vllm:num_requests_running{model_name="a"} 2.0\nvllm:num_requests_running{model_name="b"} 3\nvllm:num_requests_waiting{model_name="a"} 1\nvllm:kv_cache_usage_perc{model_name="a"} 0.25',
      { server: "vllm", running: 5, waiting: 1, cache: 0.25 },
    ],
    [
      "an older vLLM",
      "vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:gpu_cache_usage_perc 0.5\n",
      { server: "vllm", running: 2, waiting: 1, cache: 0.5 },
    ],
    [
      "sglang",
      'sglang:num_running_reqs{m="a"} 4\nsglang:token_usage{m="a"} 0.5\nsglang:num_queue_reqs{m="a"} 9\n',
      { server: "sglang", running: 4, waiting: 9, cache: 0.5 },
    ],
    [
      "llama.cpp",
      "# HELP x y\nllamacpp:requests_processing 1\nllamacpp:requests_deferred 15\n",
      { server: "llama.cpp", running: 1, waiting: 15, cache: undefined },
    ],
    [
      "tgi",
      "tgi_batch_current_size 8\ntgi_queue_size 3\n",
      { server: "tgi", running: 8, waiting: 3, cache: undefined },
    ],
    [
      "triton",
      'nv_inference_pending_request_count{model="a"} 3\nnv_inference_pending_request_count{model="b"} 4\n',
      { server: "triton", running: undefined, waiting: 7, cache: undefined },
    ],
    [
      "labels with a brace, a space and a time",
      'vllm:num_requests_waiting{a="} 9 {",b="c d"} 4 1700000000000\nvllm:num_requests_running 1 1700000000000',
      { server: "vllm", running: 1, waiting: 4, cache: undefined },
    ],
    [
      "values that are none",
      "vllm:num_requests_waiting NaN\nvllm:num_requests_running 2\nvllm:kv_cache_usage_perc +Inf\n",
      { server: "vllm", running: 2, waiting: undefined, cache: undefined },
    ],
    [
      "names that only begin alike",
      "vllm:num_requests_waiting_by_reason 99\nvllm:num_requests_waiting 2\nvllm:num_requests_running 1",
      { server: "vllm", running: 1, waiting: 2, cache: undefined },
    ],
    [
      "names in the middle of lines",
      'x{a="vllm:num_requests_waiting 5"} 1\ntgi_queue_size 2\n',
      { server: "tgi", running: undefined, waiting: 2, cache: undefined },
    ],
  ])("is read of %s", (_, text, load) => {
    expect(read(text)).toEqual(load);
  });

  it.each([[""], ["up 1\n"], ["vllm:num_requests_waiting many\n"], ["<html>vllm</html>"]])(
    "is not known of %j",
    (text) => {
      expect(() => readLoad(Buffer.from(text))).toThrow(
        /^has no load metrics that weir knows: vllm, .*triton$/,
      );
    },
  );
});

describe("how saturated pods are", () => {
  const pod = (waiting?: number, cache?: number) => ({
    server: "vllm",
    running: 1,
    waiting,
    cache,
  });
  it.each([
    ["the mean of the pods", [pod(10, 0), pod(0, 0)], undefined, 1000],
    ["the higher of queue and cache", [pod(1, 0.8)], undefined, 1000],
    ["the marks of the route", [pod(10, 0)], { queueDepth: 20 }, 500],
    ["no cache where its mark is 0", [pod(0, 0.99)], { kvCachePercent: 0 }, 0],
    ["the pods that answer", [pod(20, 0), "no answer in time"], undefined, 4000],
    ["nothing where most do not answer", [pod(20, 0), "?", "?"], undefined, undefined],
    ["nothing where none answers", ["no answer in time"], undefined, undefined],
    ["nothing where none tells", [pod()], undefined, undefined],
    ["nothing without pods", [], undefined, undefined],
  ] as const)("is %s", (_, loads, marks, permille) => {
    expect(saturation(marks as never, loads)).toBe(permille);
  });
});

describe("how saturated the pods of several variants are", () => {
  const of = (...variants: [weight: number, permille: number | undefined][]) =>
    byTraffic(variants.map(([weight, permille]) => ({ weight, permille })));
  it.each([
    ["as its pods are, of one variant", of([100, 700]), 700],
    ["by weight: an idle canary says little", of([90, 1400], [10, 0]), 1260],
    ["without those that no one is sent to", of([100, 500], [0, 4000]), 500],
    ["nothing where the one with most users is silent", of([90, undefined], [10, 0]), undefined],
    ["as the others are where few are silent", of([90, 1400], [10, undefined]), 1400],
    ["as one is where half are silent", of([50, 900], [50, undefined]), 900],
    ["nothing where all are silent", of([50, undefined], [50, undefined]), undefined],
    ["nothing without weights", of([0, 900]), undefined],
    ["nothing without variants", of(), undefined],
  ])("is %s", (_name, permille, wanted) => {
    expect(permille).toBe(wanted);
  });
});
