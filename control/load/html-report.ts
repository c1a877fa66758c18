import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { LoadResult, StageResult } from "./drive.ts";
import type { ObjectiveResult } from "./objective.ts";
import type { Summary } from "./tally.ts";
import { ms, showObjective, warnings } from "./text-report.ts";

const require = createRequire(import.meta.url);

/** A page of its own, with nothing to fetch: tables, and charts of latency and first token by stage. */
export function htmlReport(result: LoadResult, objectives: readonly ObjectiveResult[]): string {
  const folder = dirname(require.resolve("uplot"));
  const data = JSON.stringify({
    rates: result.stages.map(({ requestsPerSecond }) => requestsPerSecond),
    latency: series(result.stages, ({ latencyMs }) => latencyMs),
    firstToken: series(result.stages, ({ firstTokenMs }) => firstTokenMs),
  }).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Load on ${escape(result.target)}</title>
<style>${readFileSync(join(folder, "uPlot.min.css"), "utf8")}${style}</style>
</head>
<body>
<h1>Load on ${escape(result.target)}</h1>
<p>${escape(result.startedAt)}${result.cut ? ", ended before its time" : ""}; ${result.total.requests} requests, ${result.total.ok} ok, ${result.total.refused} refused, ${result.total.failed} failed</p>
${list([...objectives.map(showObjective), ...warnings(result.stages)])}
<h2>Stages</h2>
<table>
<thead><tr>${["stage", "offered/s", "sent", "ok", "refused", "failed", "p50", "p95", "p99", "first token p50", "p95", "p99"].map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>
<tbody>${result.stages.map(stageRows).join("\n")}</tbody>
</table>
<h2>Latency by offered rate, ms</h2><div id="latency" role="img" aria-label="latency by offered rate; the table above has its numbers"></div>
<h2>Time to first token by offered rate, ms</h2><div id="firstToken" role="img" aria-label="time to first token by offered rate; the table above has its numbers"></div>
${result.total.failures.length > 0 ? `<h2>Failures</h2>${list(result.total.failures.map(({ reason, count }) => `${count} x ${reason}`))}` : ""}
<script>${readFileSync(join(folder, "uPlot.iife.min.js"), "utf8")}</script>
<script>const data = ${data};
${script}</script>
</body>
</html>
`;
}

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .7rem; text-align: right; } th:first-child { text-align: left; }
tbody tr { border-top: 1px solid #8886; } .variant th { font-weight: normal; padding-left: 1.5rem; }
.u-legend { font: inherit; }`;

const script = `
const ink = getComputedStyle(document.body).color;
const dashes = [[], [6, 4], [2, 3]];
const colours = ["#2a78d6", "#c26a1b", "#a3378f"];
for (const name of ["latency", "firstToken"]) {
  const axis = (label) => ({ label, stroke: ink, grid: { stroke: "#8883" }, ticks: { stroke: "#8883" } });
  new uPlot({
    width: Math.min(1000, document.body.clientWidth), height: 300, scales: { x: { time: false } },
    axes: [axis("requests per second"), axis("ms")],
    series: [{ label: "requests/s" }, ...["p50", "p95", "p99"].map((label, i) => ({ label, stroke: colours[i], dash: dashes[i], width: 2 }))],
  }, [data.rates, ...data[name]], document.getElementById(name));
}`;

function series(
  stages: readonly StageResult[],
  read: (summary: Summary) => Summary["latencyMs"],
): (number | null)[][] {
  return (["p50", "p95", "p99"] as const).map((name) =>
    stages.map(({ all }) => {
      const value = read(all)[name];
      return Number.isNaN(value) ? null : value;
    }),
  );
}

function stageRows(stage: StageResult, index: number): string {
  return [
    summaryRow(`${index + 1}`, `${stage.requestsPerSecond}`, stage.sent, stage.all, ""),
    ...Object.entries(stage.variants).map(([name, summary]) =>
      summaryRow(name, "", summary.requests, summary, ' class="variant"'),
    ),
  ].join("\n");
}

function summaryRow(
  name: string,
  offered: string,
  sent: number,
  { ok, refused, failed, latencyMs, firstTokenMs }: Summary,
  attributes: string,
): string {
  const cells = [
    offered,
    sent,
    ok,
    refused,
    failed,
    ...[latencyMs, firstTokenMs].flatMap(({ p50, p95, p99 }) => [ms(p50), ms(p95), ms(p99)]),
  ];
  return `<tr${attributes}><th scope="row">${escape(name)}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function list(lines: readonly string[]): string {
  return lines.length === 0
    ? ""
    : `<ul>${lines.map((line) => `<li>${escape(line)}</li>`).join("")}</ul>`;
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
