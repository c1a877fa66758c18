import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type ReportRequest, ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { ProxySchema } from "../../control/gen/weir/v1/service_pb.ts";
import { createMetrics, fleetMetrics, reportedMetrics } from "../../control/metrics/index.ts";
import {
  bucketOf,
  counterNames,
  createLedger,
  histogramNames,
} from "../../control/report/index.ts";
import { freePorts } from "../free-ports.ts";
import { without } from "../needs.ts";

interface Panel {
  title: string;
  type: string;
  repeat?: string;
  targets: { expr: string }[];
}
const board = JSON.parse(readFileSync("istio/monitoring/grafana.json", "utf8")) as {
  panels: Panel[];
};
const expressions = board.panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }): [string, string] => [
    title,
    expr.replaceAll("$__rate_interval", "4s").replaceAll(/\$(route|variant|tier)/g, ".*"),
  ]),
);
const labels: Record<string, string[]> = {
  [counterNames.responses]: ["2xx", "5xx"],
  [counterNames.streams]: ["done", "cut"],
  [counterNames.tokens]: ["prompt", "completion"],
};

/** Everything a filter can report, grown to a count. */
function reportOf(count: number): ReportRequest {
  const base = { route: "inference/chat", variant: "canary", tier: "gold" };
  return create(ReportRequestSchema, {
    node: "a",
    epoch: "e",
    counters: Object.values(counterNames).flatMap((name) =>
      (labels[name] ?? ["gold"]).map((label) => ({ ...base, name, label, value: BigInt(count) })),
    ),
    histograms: Object.values(histogramNames).map((name) => ({
      ...base,
      name,
      index: [bucketOf(300)],
      count: [BigInt(count)],
    })),
  });
}

describe.skipIf(without("prometheus"))("on a real Prometheus", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-prometheus-"));
  let server: Server;
  let prometheus: ReturnType<typeof spawn>;
  let base: string;

  beforeAll(async () => {
    const ledger = createLedger();
    const metrics = createMetrics([
      ...fleetMetrics(() => [create(ProxySchema, { connected: true, inSync: true })]),
      ...reportedMetrics(() =>
        ledger.routes().map((route) => [route, ledger.observation(route)] as const),
      ),
    ]);
    let count = 0;
    server = createServer(async (_req, res) => {
      count += 10;
      ledger.add(reportOf(count));
      metrics.called("RouteService/ListRoutes", "ok", 0.01);
      metrics.nacked("ECDS");
      res.writeHead(200, { "content-type": metrics.contentType }).end(await metrics.text());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [port] = await freePorts(1);
    base = `http://127.0.0.1:${port}`;
    const config = join(directory, "prometheus.yml");
    writeFileSync(
      config,
      JSON.stringify({
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: [join(process.cwd(), "istio/monitoring/alerts.yaml")],
        scrape_configs: [{ job_name: "weir", static_configs: [{ targets: [target] }] }],
      }),
    );
    prometheus = spawn(
      "prometheus",
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(directory, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: "ignore" },
    );
    const deadline = Date.now() + 30_000;
    while (count < 50 && Date.now() < deadline) await sleep(100);
  });
  afterAll(async () => {
    const ended = new Promise((resolve) => prometheus.on("exit", resolve));
    prometheus.kill("SIGTERM");
    await ended;
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it.each(expressions)("the board's %s has data: %s", async (_title, query) => {
    const answer = (await (
      await fetch(`${base}/api/v1/query?query=${encodeURIComponent(query)}`)
    ).json()) as { status: string; data: { result: { value: [number, string] }[] } };
    expect(answer.status).toBe("success");
    expect(answer.data.result.length).toBeGreaterThan(0);
    for (const { value } of answer.data.result) expect(Number(value[1])).not.toBeNaN();
  });
  it("the alert rules load", async () => {
    const answer = (await (await fetch(`${base}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; health: string }[] }[] };
    };
    const rules = answer.data.groups.flatMap((group) => group.rules);
    expect(rules).toHaveLength(8);
    expect(rules.filter(({ health }) => health === "err")).toEqual([]);
  });
});

it("the board tells the time to first token by variant and tier, as quantiles and all of it", () => {
  const first = expressions.filter(([, query]) => query.includes("time_to_first_token"));
  expect(
    first.filter(([, query]) => query.includes("sum by (le, route, variant, tier)")),
  ).toHaveLength(3);
  const heatmap = board.panels.find(({ type }) => type === "heatmap");
  expect(heatmap?.repeat).toBe("variant");
  expect(heatmap?.targets[0]?.expr).toContain('variant=~"$variant",tier=~"$tier"');
});

it.skipIf(without("promtool"))("alerts fire on what they are for and on nothing else", () => {
  const { status, stdout, stderr } = spawnSync(
    "promtool",
    ["test", "rules", "test/metrics/alerts.promtool.yaml"],
    { encoding: "utf8" },
  );
  expect(`${stdout}${stderr}`).toContain("SUCCESS");
  expect(status, stdout + stderr).toBe(0);
});

it("every alert has its place in the runbook", () => {
  const { groups } = parse(readFileSync("istio/monitoring/alerts.yaml", "utf8")) as {
    groups: { rules: { alert: string; annotations: { runbook: string } }[] }[];
  };
  const runbook = existsSync("docs/runbook.md") ? readFileSync("docs/runbook.md", "utf8") : "";
  for (const { alert, annotations } of groups.flatMap(({ rules }) => rules)) {
    expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
    expect(runbook).toContain(`## ${alert}\n`);
  }
});
