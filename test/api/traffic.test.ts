import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { trafficOf } from "../../control/api/traffic.ts";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { createLedger, distributionOf } from "../../control/report/index.ts";

const route = "inference/chat";

it("tells of each variant what its streams were like in the last minute, and nothing of what no one measured", () => {
  let nowMs = 1_700_000_000_000;
  const ledger = createLedger(() => nowMs);
  const report = (answers: number, failures: number, firstTokensMs: number[]) => {
    const of = { route, variant: "canary", tier: "gold" };
    const { zeros, buckets } = distributionOf(firstTokensMs);
    ledger.add(
      create(ReportRequestSchema, {
        node: "a",
        epoch: "e",
        counters: [
          { name: "canary_requests", route, label: "stable", value: 5n },
          { name: "responses", label: "2xx", value: BigInt(answers), ...of },
          { name: "responses", label: "5xx", value: BigInt(failures), ...of },
          { name: "streams", label: "done", value: BigInt(answers), ...of },
          { name: "streams", label: "cut", value: BigInt(failures), ...of },
          { name: "streams", label: "aborted", value: 100n, ...of },
          { name: "tokens", label: "prompt", value: BigInt(answers * 7), ...of },
        ],
        histograms: [
          {
            name: "time_to_first_token_ms",
            index: [...buckets.keys()],
            count: [...buckets.values()].map(BigInt),
            zeros: BigInt(zeros),
            ...of,
          },
        ],
      }),
    );
  };
  report(0, 0, []);
  nowMs += 10_000;
  report(
    100,
    0,
    Array.from({ length: 100 }, () => 1000),
  );
  for (let i = 0; i < 7; i++) {
    nowMs += 10_000;
    report(
      100,
      0,
      Array.from({ length: 100 }, () => 1000),
    );
  }
  report(130, 10, [
    ...Array.from({ length: 100 }, () => 1000),
    ...Array.from({ length: 40 }, () => 50),
  ]);
  const traffic = trafficOf(route, ["stable", "canary", "idle"], ledger);
  expect(traffic.map(({ variant }) => variant)).toEqual(["stable", "canary"]);
  expect(traffic[0]).toMatchObject({ requests: 5n });
  expect(traffic[0]?.streams).toBeUndefined();
  const streams = traffic[1]?.streams;
  expect(streams).toMatchObject({
    responses: 40n,
    errorRatio: 0.25,
    cutRatio: 0.25,
    promptTokens: 210n,
  });
  expect((streams?.timeToFirstTokenP50Ms ?? 0) / 50).toBeCloseTo(1, 1);
  expect((streams?.timeToFirstTokenP95Ms ?? 0) / 50).toBeCloseTo(1, 1);
  expect(streams?.tokenGapP50Ms).toBeUndefined();
});
