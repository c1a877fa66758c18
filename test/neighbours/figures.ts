/** What a run did and what it took, for docs/reliability.md. */
export interface Figures {
  store: string;
  seed: number;
  seconds: number;
  proxies: number;
  writes: { sent: number; acknowledged: number; refused: number; unknown: number };
  rollouts: { started: number; succeeded: number; takenBackByPeople: number; resumed: number };
  rolloutWrites: number;
  takenBack: number;
  auditEntries: number;
  connects: number;
  refusals: number;
  responses: number;
  restarts: number;
  requests: { sent: number; streams: number; failed: number; retriedInRestart: number };
  /** How long healthy proxies took to run what was acknowledged. */
  lagMs: { p50: number; p99: number; max: number };
  rssMiB: { start: number; max: number; end: number };
  maxDescriptors: number;
  storeBytes: number;
  /** Time that was not counted because the machine had none for the service. */
  stalledMs: number;
  disturbances: Record<string, number>;
  violations: number;
}

/** The value below which so much of a list is; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
}

export function toText(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => {
      const told =
        typeof value === "object"
          ? Object.entries(value)
              .map(([key, each]) => `${key} ${each}`)
              .join(", ")
          : String(value);
      return `${name}: ${told}`;
    })
    .join("\n");
}
