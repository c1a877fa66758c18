/** What a stage or a drill is measured by. */
export interface Signals {
  /** Share of the requests that failed: no answer, 5xx but 503, an error within a success, a stream cut short; 0 to 1. */
  errors: number;
  /** Share that was refused with 429 or 503; 0 to 1. */
  refusals: number;
  latencyMs: Percentiles;
  firstTokenMs: Percentiles;
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** A bound that must hold, such as "first-token-p95<500ms". */
export interface Objective {
  text: string;
  /** The measured value, in the bound's unit; NaN where nothing was measured. */
  value(signals: Signals): number;
  limit: number;
  unit: "ms" | "%";
}

const readers: Record<string, [unit: "ms" | "%", (signals: Signals) => number]> = {
  errors: ["%", ({ errors }) => errors * 100],
  refusals: ["%", ({ refusals }) => refusals * 100],
  p50: ["ms", ({ latencyMs }) => latencyMs.p50],
  p95: ["ms", ({ latencyMs }) => latencyMs.p95],
  p99: ["ms", ({ latencyMs }) => latencyMs.p99],
  "first-token-p50": ["ms", ({ firstTokenMs }) => firstTokenMs.p50],
  "first-token-p95": ["ms", ({ firstTokenMs }) => firstTokenMs.p95],
  "first-token-p99": ["ms", ({ firstTokenMs }) => firstTokenMs.p99],
};

/**
 * Reads "errors<1%", "p99<800ms" or "first-token-p95<0.5s".
 * @throws Error that names what is allowed
 */
export function parseObjective(text: string): Objective {
  const [, name = "", number = "", suffix = ""] =
    /^([a-z0-9-]+)\s*<\s*(\d+(?:\.\d+)?)(%|ms|s)$/.exec(text.trim()) ?? [];
  const [unit, value] = readers[name] ?? [];
  if (unit === undefined || value === undefined || (unit === "%") !== (suffix === "%"))
    throw new Error(
      `objective "${text}" must be NAME<LIMIT, such as errors<1% or p99<800ms; names are ${Object.keys(readers).join(", ")}`,
    );
  return { text: text.trim(), value, unit, limit: Number(number) * (suffix === "s" ? 1000 : 1) };
}

/** What an objective came to. A value that was not measured does not hold. */
export interface ObjectiveResult {
  objective: string;
  value: number;
  unit: "ms" | "%";
  held: boolean;
}

/**
 * Compares what was measured with the objectives. One holds while the value is below its limit; a
 * value that is not a number does not hold.
 */
export function judge(objectives: readonly Objective[], signals: Signals): ObjectiveResult[] {
  return objectives.map(({ text, value, unit, limit }) => {
    const measured = value(signals);
    return { objective: text, value: measured, unit, held: measured < limit };
  });
}
