import type { Duration } from "@bufbuild/protobuf/wkt";

/** Milliseconds of a duration, or the default where it is absent. */
export function milliseconds(duration: Duration | undefined, absentMs: number): number {
  return duration === undefined ? absentMs : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** A time for people: "850 ms", "12 s", "5 min". */
export function showTime(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
