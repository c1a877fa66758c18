import type { LoadResult, Progress, StageResult } from "./drive.ts";
import type { ObjectiveResult, Percentiles } from "./objective.ts";
import type { Summary } from "./tally.ts";

/** One line for a terminal while the load runs. */
export function progressLine({ stage, stages, elapsedMs, totalMs, sent, open, soFar }: Progress) {
  const seconds = (ms: number) => Math.round(ms / 1000);
  return `stage ${stage}/${stages}, ${seconds(elapsedMs)} of ${seconds(totalMs)} s: ${sent} sent, ${open} open, ${soFar.refused} refused, ${soFar.failed} failed, p99 ${ms(soFar.latencyMs.p99)}`;
}

/** Tables per stage and per variant, the failures' reasons, and p99 over the stages as bars. */
export function textReport(result: LoadResult, objectives: readonly ObjectiveResult[]): string {
  const head = [
    "STAGE",
    "OFFERED/S",
    "SENT",
    "OK",
    "REFUSED",
    "FAILED",
    "LATENCY P50/P95/P99",
    "FIRST TOKEN P50/P95/P99",
  ];
  const rows = result.stages.flatMap((stage, i) => [
    row(`${i + 1}`, `${stage.requestsPerSecond}`, String(stage.sent), stage.all),
    ...Object.entries(stage.variants).map(([name, summary]) =>
      row(`  ${name}`, "", String(summary.requests), summary),
    ),
  ]);
  return [
    table(head, rows),
    chart(result.stages),
    ...result.total.failures.map(({ reason, count }) => `${count} x ${reason}`),
    ...warnings(result.stages),
    ...objectives.map(showObjective),
    ...(result.cut ? ["interrupted before the last stage ended"] : []),
  ]
    .filter(Boolean)
    .join("\n");
}

/** What makes the figures doubtful: a generator that could not keep up. */
export function warnings(stages: readonly StageResult[]): string[] {
  return stages.flatMap(({ notSent, latestMs, requestsPerSecond }, i) => [
    ...(notSent > 0
      ? [
          `warning: stage ${i + 1} left ${notSent} requests unsent, because too many were open (--max-open)`,
        ]
      : []),
    ...(latestMs > 100
      ? [
          `warning: at ${requestsPerSecond} requests per second this machine sent up to ${Math.round(latestMs)} ms late; latencies include that`,
        ]
      : []),
  ]);
}

export function showObjective({ objective, value, unit, held }: ObjectiveResult): string {
  const measured = Number.isNaN(value) ? "nothing measured" : `${value.toFixed(1)} ${unit}`;
  return `objective ${objective}: ${held ? "held" : "MISSED"} (${measured})`;
}

function row(name: string, offered: string, sent: string, summary: Summary): string[] {
  return [
    name,
    offered,
    sent,
    String(summary.ok),
    String(summary.refused),
    String(summary.failed),
    three(summary.latencyMs),
    three(summary.firstTokenMs),
  ];
}

function three({ p50, p95, p99 }: Percentiles): string {
  return [p50, p95, p99].map(ms).join(" / ");
}

/** Milliseconds at a glance: "-" where nothing was measured. */
export function ms(value: number): string {
  if (Number.isNaN(value)) return "-";
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

function table(head: readonly string[], rows: readonly string[][]): string {
  const widths = head.map((name, i) =>
    Math.max(name.length, ...rows.map((r) => r[i]?.length ?? 0)),
  );
  return [head, ...rows]
    .map((cells) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}

const barLetters = 40;

/** A bar for each stage, in proportion to the longest. */
function chart(stages: readonly StageResult[]): string {
  const p99s = stages.map(({ all }) => all.latencyMs.p99);
  const measured = p99s.filter((value) => !Number.isNaN(value));
  if (measured.length < 2) return "";
  const longestMs = Math.max(...measured);
  const bars = p99s.map((value, i) => {
    const letters = Math.round((barLetters * value) / longestMs) || 0;
    return `${String(i + 1).padStart(5)}  ${"#".repeat(letters).padEnd(barLetters)}  ${ms(value)}`;
  });
  return ["p99 of latency by stage", ...bars].join("\n");
}
