import type { Violated } from "./violation.ts";

/** What happened while nobody did anything. */
export interface Quiet {
  overMs: number;
  cpuMs: number;
  /** Responses that proxies were sent. */
  sent: number;
  /** Entries that were added to the audit. */
  written: number;
}

/** Probes, and the reports of two Envoys, cost this share of a core at the most. */
const maxCpuShare = 0.35;

/** When nobody does anything, nothing happens: what Weir did by itself has come to an end. */
export function checkIdle({ overMs, cpuMs, sent, written }: Quiet, violated: Violated): void {
  const over = `in ${Math.round(overMs)} ms in which nobody did anything`;
  const tell = (who: string, what: string) => violated({ invariant: "idle", who, what });
  if (cpuMs > overMs * maxCpuShare) tell("cpu", `${Math.round(cpuMs)} ms of CPU ${over}`);
  if (sent > 0) tell("sends", `${sent} responses ${over}`);
  if (written > 0) tell("writes", `${written} audit entries ${over}`);
}
