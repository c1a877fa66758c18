import { fromJson, toJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { readReport } from "../../control/report/index.ts";
import {
  createSynthetic,
  goodProfile,
  seededRandom,
} from "../../control/rollout/simulate/synthetic.ts";
import { ask, events, tokenProxy } from "../filters/token-limit/token-streams.ts";

const counter = { name: "responses", route: "n/r", label: "2xx", value: "7" };
const need = { route: "n/r", tenant: "acme", wanted: "7", intervalNs: 1_000_000 };
const ofTenant = { ...counter, variant: "canary", tenant: "acme" };
const histogram = { name: "token_gap_ms", route: "n/r", zeros: "1", index: [-3, 7], count: [1, 2] };

describe("a report as the filters write it", () => {
  it("is read as Protobuf's JSON is", () => {
    const synthetic = createSynthetic({
      node: "edge",
      route: "n/r",
      stable: "stable",
      canary: "canary",
      stableProfile: goodProfile,
      canaryProfile: goodProfile,
      random: seededRandom(3),
      epoch: "1",
    });
    synthetic.answer(500, 30);
    const written = toJson(ReportRequestSchema, synthetic.report(0, "r"));
    expect(readReport(written)).toEqual(fromJson(ReportRequestSchema, written));
    expect(readReport({})).toEqual(fromJson(ReportRequestSchema, {}));
    const all = {
      node: "a",
      counters: [counter, ofTenant],
      histograms: [histogram, { ...histogram, tenant: "acme" }],
      needs: [need],
    };
    expect(readReport(all)).toEqual(fromJson(ReportRequestSchema, all));
  });

  it("is what token-limit.wasm sends", () => {
    const { shared, worker } = tokenProxy();
    const exchange = ask(worker);
    exchange.responseHeaders(events);
    exchange.responseBody(Buffer.from('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'), true);
    worker.tick(1);
    shared.nowNs += 1_000_000_000n;
    worker.tick(1);
    const written = JSON.parse(shared.httpCalls.at(-1)?.body ?? "");
    expect(written.counters.length + written.histograms.length).toBeGreaterThan(5);
    expect(readReport(written)).toEqual(fromJson(ReportRequestSchema, written));
  });

  it.each([
    ["a list", []],
    ["null", null],
    ["a member more", { node: "a", other: 1 }],
    ["__proto__", JSON.parse('{"__proto__":{"node":"a"}}')],
    ["a number as a name", { node: 1 }],
    ["a counter that is none", { counters: [null] }],
    ["counters that are no list", { counters: counter }],
    ["a counter with a member more", { counters: [{ ...counter, more: "" }] }],
    ["a negative count", { counters: [{ ...counter, value: -1 }] }],
    ["a count with a sign", { counters: [{ ...counter, value: "+1" }] }],
    ["half a count", { counters: [{ ...counter, value: 0.5 }] }],
    ["a count beyond 64 bits", { counters: [{ ...counter, value: "99999999999999999999" }] }],
    ["a bucket beyond 32 bits", { histograms: [{ ...histogram, index: [2 ** 31] }] }],
    ["a bucket in digits", { histograms: [{ ...histogram, index: ["1"] }] }],
    ["a need with a member more", { needs: [{ ...need, more: "" }] }],
    ["a negative need", { needs: [{ ...need, wanted: -1 }] }],
    ["counts that are no list", { histograms: [{ ...histogram, count: 1 }] }],
  ])("%s is left to the general reader", (_name, value) => {
    expect(readReport(value)).toBeUndefined();
  });
});
