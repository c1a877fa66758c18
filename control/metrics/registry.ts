import { Counter, collectDefaultMetrics, Histogram, type Metric, Registry } from "prom-client";

/** A metric that is read when it is asked for. */
export interface Source {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  collect(): Sample[];
}

export interface Sample {
  /** Where it differs from the metric's, as with the parts of a histogram. */
  name?: string;
  labels: Record<string, string>;
  value: number;
}

/** The control service's metrics. */
export interface Metrics {
  contentType: string;
  /** Prometheus' text format, version 0.0.4. */
  text(): Promise<string>;
  /** Counts a call of the API. */
  called(method: string, code: string, seconds: number): void;
  nacked(type: string): void;
}

/** Gauges of Node named like counters; those without "_total" have the same values. */
const misnamed = ["active_handles", "active_requests", "active_resources"].map(
  (what) => `nodejs_${what}_total`,
);

/**
 * Makes the metrics of the service, with those of the process.
 * @param sources add metrics of their own when Prometheus asks
 */
export function createMetrics(sources: readonly Source[]): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  const calls = new Counter({
    name: "weir_api_calls_total",
    help: "API calls by method and Connect code.",
    labelNames: ["method", "code"],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: "weir_api_call_duration_seconds",
    help: "Duration of API calls, streams until their end.",
    labelNames: ["method"],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers: [registry],
  });
  const nacks = new Counter({
    name: "weir_xds_nacks_total",
    help: "Configurations that proxies refused, by xDS type.",
    labelNames: ["type"],
    registers: [registry],
  });
  for (const source of sources) registry.registerMetric(asMetric(source));
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    called(method, code, took) {
      calls.inc({ method, code });
      seconds.observe({ method }, took);
    },
    nacked: (type) => nacks.inc({ type }),
  };
}

/** What the registry asks of a metric: its name, and its values on request. */
function asMetric({ name, help, type, collect }: Source): Metric {
  return {
    name,
    get: async () => ({
      name,
      help,
      type,
      aggregator: "sum",
      values: collect().map(({ name: metricName = name, ...sample }) => ({
        metricName,
        ...sample,
      })),
    }),
    reset() {},
  } as unknown as Metric;
}
