import { createPodLoads, type PodLoads } from "../../loads/index.ts";
import type { Sources } from "../plan/validate.ts";
import type { EngineOptions } from "../run/engine.ts";
import { createCapacity } from "./capacity.ts";
import { createPrometheus } from "./prometheus.ts";
import { createWebhooks } from "./webhook.ts";

/** What rollouts may ask besides the proxies' reports, as the operator allows it. */
export interface SourceOptions {
  /** Base URL of a Prometheus. */
  prometheus?: string;
  /** Gates: name -> URL. */
  webhooks?: ReadonlyMap<string, string>;
  /** Read the pods' /metrics, for capacity. */
  podMetrics?: boolean;
}

/** Sources for the engine, and which there are. */
export function createSources({
  prometheus,
  webhooks = new Map(),
  podMetrics = false,
}: SourceOptions): Pick<EngineOptions, "queries" | "gates"> & {
  known: Sources;
  podLoads?: PodLoads;
} {
  const monotonicMs = () => performance.now();
  const ask = createWebhooks(webhooks, monotonicMs);
  const podLoads = podMetrics ? createPodLoads(monotonicMs) : undefined;
  const capacity = podLoads ? createCapacity(podLoads) : () => [];
  const now = () => new Date();
  return {
    ...(prometheus ? { queries: createPrometheus(prometheus, { monotonicMs, now }) } : {}),
    ...(podLoads ? { podLoads } : {}),
    gates: (name, state, route) => [...capacity(state, route), ...ask(name, state)],
    known: {
      prometheus: prometheus !== undefined,
      webhooks: [...webhooks.keys()],
      pods: podMetrics,
    },
  };
}
