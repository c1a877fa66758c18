import { fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type ReportRequest, ReportRequestSchema } from "../../../control/gen/weir/v1/report_pb.ts";
import type { SharedState } from "../../host/proxy.ts";
import type { Worker } from "../../host/worker.ts";
import { generator } from "../../random.ts";
import { configuredProxy, requestHeaders } from "../module.ts";
import { json, tokenConfig } from "./token-streams.ts";

const maxCells = 1024;
const maxReportBytes = 262_144;

interface Asked {
  route: string;
  variant: string;
  tier: string;
}
const keyOf = ({ route, variant, tier }: Asked) => `${route} ${variant} ${tier}`;
const countOf = (each: Asked) => 1 + ((each.route.length + each.variant.length) % 3);

/** So many routes, each with these variants, and tiers that one tenant each has. */
function cellsConfig(routes: number, variants: number, tiers: number, prefix: string): any {
  const config = tokenConfig((policy) => {
    policy.tiers = Object.fromEntries(Array.from({ length: tiers }, (_, i) => [`tier-${i}`, {}]));
    // The first 64 would be measured by themselves.
    const first = Array.from({ length: 64 }, (_, i) => [`first-${i}`, "tier-0"]);
    const own = Array.from({ length: tiers }, (_, i) => [`tenant-${i}`, `tier-${i}`]);
    policy.tenants = Object.fromEntries([...first, ...own]);
    policy.default = "tier-0";
    policy.variants = Array.from({ length: variants }, (_, i) => `v${"x".repeat(i)}`);
  });
  const [{ tokenLimit }] = config.routes;
  config.routes = Array.from({ length: routes }, (_, i) => ({
    name: `${prefix}/r${"o".repeat(i)}`,
    hosts: [`r${i}.example.com`],
    tokenLimit,
  }));
  return config;
}

/** Every series that requests to a configuration can make, in an order of the seed's. */
function seriesOf(config: any, seed: number): Asked[] {
  const random = generator(seed);
  const all = config.routes.flatMap(({ name, tokenLimit }: any) =>
    tokenLimit.variants.flatMap((variant: string) =>
      Object.keys(tokenLimit.tiers).map((tier) => ({ route: name, variant, tier })),
    ),
  );
  return all
    .map((each: Asked) => ({ each, at: random() }))
    .sort((a: { at: number }, b: { at: number }) => a.at - b.at)
    .map(({ each }: { each: Asked }) => each);
}

function answer(worker: Worker, config: any, { route, variant, tier }: Asked): void {
  const index = config.routes.findIndex(({ name }: any) => name === route);
  const exchange = worker.exchange(
    requestHeaders({
      ":authority": `r${index}.example.com`,
      "x-weir-variant": variant,
      "x-tenant-id": tier.replace("tier", "tenant"),
    }),
  );
  exchange.responseHeaders(json, true);
  exchange.end();
}

/** All reports until each series that is known was told, and what they said of answers last. */
function told({ shared, workers }: { shared: SharedState; workers: Worker[] }, rounds: number) {
  const answers = new Map<string, number>();
  const distributions = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    shared.nowNs += 1_000_000_000n;
    const before = shared.httpCalls.length;
    for (const worker of workers) worker.tick(1);
    expect(shared.httpCalls.length, `report ${round}`).toBe(before + 1);
    const { body } = shared.httpCalls.at(-1) as { body: string };
    expect(body.length).toBeLessThanOrEqual(maxReportBytes);
    const report: ReportRequest = fromJsonString(ReportRequestSchema, body);
    for (const counter of report.counters) answers.set(keyOf(counter), Number(counter.value));
    for (const each of report.histograms) distributions.add(keyOf(each));
  }
  return { answers, distributions };
}

const overflowOf = (shared: SharedState) =>
  [...shared.metrics.values()].find(({ name }) => name === "weir_metrics_overflow_total")?.value;

describe("more routes, variants and tiers than a proxy tells apart", () => {
  it.each([
    ["12 x 10 x 10 by one worker", 12, 10, 10, 1],
    ["3 x 16 x 16, all within the bound, by two", 3, 16, 16, 2],
    ["41 x 5 x 5, one beyond the bound, by three", 41, 5, 5, 3],
    ["20 x 16 x 8 by two", 20, 16, 8, 2],
  ])(
    "%s: each one known counts right, the others together",
    (_name, routes, variants, tiers, n) => {
      const config = cellsConfig(routes, variants, tiers, "team");
      const proxy = configuredProxy("token-limit", config, n);
      const series = seriesOf(config, routes);
      // Each worker meets them in an order of its own, twice: who is known stays known.
      for (let round = 0; round < 2; round++)
        proxy.workers.forEach((worker, i) => {
          for (const each of seriesOf(config, routes + i))
            for (let k = 0; k < countOf(each); k++) answer(worker, config, each);
        });
      const { answers, distributions } = told(proxy, 20);
      const known = Math.min(series.length, maxCells);
      expect(answers.size).toBe(known);
      expect(distributions).toEqual(new Set(answers.keys()));
      let beyond = 0;
      for (const each of series) {
        const sum = 2 * n * countOf(each);
        // A worker that was full itself counted beyond what another worker's reports tell.
        const value = answers.get(keyOf(each));
        if (n === 1 && value !== undefined) expect(value, keyOf(each)).toBe(sum);
        expect(value ?? 0).toBeLessThanOrEqual(sum);
        beyond += sum - (value ?? 0);
      }
      expect(overflowOf(proxy.shared) ?? 0n).toBe(BigInt(beyond));
      const said = proxy.shared.log.filter(({ message }) =>
        message.includes("weir_metrics_overflow"),
      );
      // Once by each worker that met some.
      expect(said.length).toBeLessThanOrEqual(n);
      expect([...new Set(said.map(({ message }) => message))]).toEqual(
        beyond === 0
          ? []
          : [
              "weir: does not tell apart more than 1024 series of routes, variants and tiers: weir_metrics_overflow_total",
            ],
      );
    },
  );

  it("counts once more for tenants only as far as there is room, and no answer twice", () => {
    const config = cellsConfig(16, 16, 8, "team");
    for (const { tokenLimit } of config.routes)
      tokenLimit.tenants = Object.fromEntries(
        Object.entries(tokenLimit.tenants).filter(([name]) => name.startsWith("tenant-")),
      );
    const proxy = configuredProxy("token-limit", config, 2);
    const series = seriesOf(config, 5);
    for (const worker of proxy.workers) for (const each of series) answer(worker, config, each);
    let whole = 0;
    const seen = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      proxy.shared.nowNs += 1_000_000_000n;
      for (const worker of proxy.workers) worker.tick(1);
      const { body } = proxy.shared.httpCalls.at(-1) as { body: string };
      for (const counter of fromJsonString(ReportRequestSchema, body).counters)
        if (counter.tenant === "") seen.set(keyOf(counter), Number(counter.value));
    }
    for (const value of seen.values()) whole += value;
    expect(BigInt(whole) + (overflowOf(proxy.shared) ?? 0n)).toBe(BigInt(2 * series.length));
  });
});

it("tells series of long names by turns, each report short enough to be sent", () => {
  const config = cellsConfig(8, 16, 8, `team-${"n".repeat(120)}`);
  const proxy = configuredProxy("token-limit", config, 2);
  const series = seriesOf(config, 3);
  for (const each of series) answer(proxy.workers[1] as Worker, config, each);
  proxy.workers[1]?.tick(1);
  const { answers, distributions } = told(proxy, 20);
  expect(answers.size).toBe(series.length);
  expect(new Set(answers.values())).toEqual(new Set([1]));
  expect(distributions.size).toBe(series.length);
});
