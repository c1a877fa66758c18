const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const maxMs = 24 * 3_600_000;

/** Reads "500ms", "30s", "1.5m" or "1h" as milliseconds. @throws Error that names the value and the limit */
export function durationMs(text: string): number {
  const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(count) * (unitMs[unit] ?? Number.NaN);
  if (!(ms > 0)) throw new Error(`"${text}" is not a duration: use for example 500ms, 30s or 5m`);
  if (ms > maxMs) throw new Error(`"${text}" is longer than the limit of 24h`);
  return ms;
}
