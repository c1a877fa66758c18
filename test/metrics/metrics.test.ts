import { spawnSync } from "node:child_process";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { ProxySchema } from "../../control/gen/weir/v1/service_pb.ts";
import { createMetrics, fleetMetrics, reportedMetrics } from "../../control/metrics/index.ts";
import { bucketOf, createLedger } from "../../control/report/index.ts";
import { without } from "../needs.ts";

function metricsOf() {
  const ledger = createLedger();
  ledger.add(
    create(ReportRequestSchema, {
      node: "a",
      epoch: "one",
      counters: [
        { name: "canary_requests", route: "inference/chat", label: "canary", value: 7n },
        {
          name: "responses",
          route: "inference/chat",
          label: "5xx",
          variant: "canary",
          tier: 'go"ld\n',
          value: 2n,
        },
        { name: "made_up_by_a_stranger", route: "x", label: "y", value: 1n },
      ],
      histograms: [
        {
          name: "time_to_first_token_ms",
          route: "inference/chat",
          variant: "canary",
          tier: "gold",
          index: [bucketOf(40), bucketOf(400)],
          count: [3n, 1n],
          zeros: 1n,
        },
      ],
    }),
  );
  const proxies = [
    create(ProxySchema, { node: "a", connected: true, inSync: true }),
    create(ProxySchema, {
      node: "b",
      connected: true,
      resources: [{ type: "ECDS", nackMessage: "no" }],
    }),
    create(ProxySchema, { node: "c" }),
  ];
  const metrics = createMetrics([
    ...fleetMetrics(() => proxies),
    ...reportedMetrics(() =>
      ledger.routes().map((route) => [route, ledger.observation(route)] as const),
    ),
  ]);
  metrics.called("RouteService/ShiftWeights", "aborted", 0.02);
  metrics.nacked("ECDS");
  return metrics;
}

describe("metrics", () => {
  it("tell what the filters reported, what the proxies run and what the API did", async () => {
    const lines = (await metricsOf().text()).split("\n");
    for (const line of [
      'weir_canary_requests_total{route="inference/chat",variant="canary"} 7',
      'weir_responses_total{route="inference/chat",variant="canary",tier="go\\"ld\\n",status_class="5xx"} 2',
      'weir_time_to_first_token_seconds_bucket{route="inference/chat",variant="canary",tier="gold",le="0.05"} 4',
      'weir_time_to_first_token_seconds_bucket{route="inference/chat",variant="canary",tier="gold",le="0.5"} 5',
      'weir_time_to_first_token_seconds_bucket{route="inference/chat",variant="canary",tier="gold",le="+Inf"} 5',
      'weir_time_to_first_token_seconds_count{route="inference/chat",variant="canary",tier="gold"} 5',
      'weir_proxies{state="in_sync"} 1',
      'weir_proxies{state="refused"} 1',
      'weir_proxies{state="away"} 1',
      'weir_proxies_refused{type="ECDS"} 1',
      'weir_proxies_refused{type="LDS"} 0',
      'weir_api_calls_total{method="RouteService/ShiftWeights",code="aborted"} 1',
      'weir_xds_nacks_total{type="ECDS"} 1',
    ])
      expect(lines).toContain(line);
  });
  it("make no metric of a name that no filter of ours has", async () => {
    expect(await metricsOf().text()).not.toContain("stranger");
  });
  it.skipIf(without("promtool"))("are as Prometheus wants them", async () => {
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: await metricsOf().text(),
      encoding: "utf8",
    });
    expect(`${stdout}${stderr}`).toBe("");
    expect(status).toBe(0);
  });
});
