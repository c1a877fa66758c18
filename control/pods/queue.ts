/** The requests that wait for a pod. */
export interface PodQueue {
  /** Resolves when it is the caller's turn, with what to call when done. */
  enter(slots: () => number): Promise<() => void>;
  waiting(): number;
}

/** First come, first served; as many at once as there are slots, which may change. */
export function createQueue(): PodQueue {
  const queue: (() => void)[] = [];
  let running = 0;
  let slots = () => 0;
  const hasRoom = () => slots() === 0 || running < slots();

  function admit(): void {
    while (hasRoom()) {
      const next = queue.shift();
      if (next === undefined) return;
      running++;
      next();
    }
  }

  return {
    async enter(current) {
      slots = current;
      await new Promise<void>((resolve) => {
        queue.push(resolve);
        admit();
      });
      return () => {
        running--;
        admit();
      };
    },
    waiting: () => queue.length,
  };
}

/** The value of endpoint-load-metrics (ORCA), with vLLM's names. */
export function loadMetrics(format: "TEXT" | "JSON", waiting: number, kvCache: number): string {
  const metrics = { kv_cache_usage_perc: kvCache, num_requests_waiting: waiting };
  if (format === "JSON") return `JSON ${JSON.stringify({ named_metrics: metrics })}`;
  const pairs = Object.entries(metrics).map(([name, value]) => `named_metrics.${name}=${value}`);
  return `TEXT ${pairs.join(", ")}`;
}
