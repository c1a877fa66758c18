import {
  counterNames,
  type Distribution,
  histogramNames,
  type Observation,
  type ObservedCounter,
  valueOfBucket,
} from "../report/index.ts";
import type { Sample, Source } from "./registry.ts";

/** What a counter's label counts by, as a label's name. Absent: the counter has no label of its own. */
const labelNames: Record<string, string> = {
  [counterNames.canaryRequests]: "variant",
  [counterNames.rateLimitAdmitted]: "tier",
  [counterNames.rateLimitRefused]: "tier",
  [counterNames.concurrencyRefused]: "tier",
  [counterNames.overloadRefused]: "tier",
  [counterNames.forbidden]: "tier",
  [counterNames.tenantRefused]: "tenant",
  [counterNames.responses]: "status_class",
  [counterNames.waited]: "over",
  [counterNames.streams]: "end",
  [counterNames.finishes]: "reason",
  [counterNames.tokens]: "kind",
  [counterNames.tokenDetails]: "kind",
  [counterNames.usage]: "source",
  [counterNames.tokenLimit]: "what",
};

const counterHelp: Record<string, string> = {
  [counterNames.canaryRequests]: "Requests sent to a variant.",
  [counterNames.rateLimitAdmitted]: "Requests within their limits.",
  [counterNames.rateLimitRefused]: "Requests refused by their tier's rate.",
  [counterNames.concurrencyRefused]:
    "Requests refused because of their tenant's requests in flight.",
  [counterNames.overloadRefused]: "Requests refused because the pods were saturated.",
  [counterNames.routeFull]: "Requests refused because of the route's requests in flight.",
  [counterNames.unauthenticated]: "Requests refused because nothing identified the caller.",
  [counterNames.forbidden]: "Requests refused because their tier may not use the route.",
  [counterNames.tenantRefused]: "Refused requests by tenant, for at most 32 tenants of a route.",
  [counterNames.shadowTagged]: "Requests that got the shadow tag.",
  [counterNames.responses]:
    "Answers by class of status, and those of other variants that took over.",
  [counterNames.waited]: "Requests that waited longer than this for their first byte or token.",
  [counterNames.streams]: "Event streams by how they ended.",
  [counterNames.finishes]: "Choices by finish reason.",
  [counterNames.tokens]: "Tokens charged.",
  [counterNames.tokenDetails]:
    "Tokens charged that came from a cache, were written to one, or were reasoning.",
  [counterNames.failedAnswers]: "Responses with a success status that contain an error.",
  [counterNames.usage]: "Responses by the source of their token count.",
  [counterNames.tokenLimit]: "Decisions of the token limit.",
};

/** Distributions by name: the metric, its divisor to base units, and its bounds. */
const histograms: Record<string, { name: string; help: string; per: number; bounds: number[] }> = {
  [histogramNames.timeToFirstByte]: seconds(
    "time_to_first_byte",
    "Time to the first byte of an answer.",
  ),
  [histogramNames.timeToFirstToken]: seconds(
    "time_to_first_token",
    "Time to the first token of a stream.",
  ),
  [histogramNames.tokenGap]: seconds("token_gap", "Time between tokens of a stream."),
  [histogramNames.streamDuration]: seconds(
    "stream_duration",
    "Time from request to the end of a stream.",
  ),
  [histogramNames.outputTokens]: {
    name: "weir_output_tokens",
    help: "Tokens of an answer.",
    per: 1,
    bounds: [1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192],
  },
};

function seconds(name: string, help: string) {
  const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
  return { name: `weir_${name}_seconds`, help, per: 1000, bounds };
}

/** What the filters of all proxies reported, as counters and histograms by route, variant and tier. */
export function reportedMetrics(
  observations: () => Iterable<readonly [route: string, Observation]>,
): Source[] {
  const counters = Object.entries(counterHelp).map(
    ([name, help]): Source => ({
      name: `weir_${name}_total`,
      help,
      type: "counter",
      collect: () => samplesOf(observations(), name),
    }),
  );
  const distributions = Object.entries(histograms).map(
    ([from, { name, help, per, bounds }]): Source => ({
      name,
      help,
      type: "histogram",
      collect: () =>
        [...observations()].flatMap(([route, { distributions }]) =>
          [...distributions.values()]
            .filter((each) => each.name === from)
            .flatMap(({ variant, tier, distribution }) =>
              histogramSamples(
                name,
                { route, ...present({ variant, tier }) },
                distribution,
                per,
                bounds,
              ),
            ),
        ),
    }),
  );
  return [...counters, ...distributions];
}

function samplesOf(observations: Iterable<readonly [string, Observation]>, name: string): Sample[] {
  return [...observations].flatMap(([route, { counters }]) =>
    [...counters.values()]
      .filter((each) => each.name === name)
      .map((each) => ({ labels: { route, ...labelsOf(each) }, value: each.total })),
  );
}

function labelsOf({ name, label, variant, tier }: ObservedCounter): Record<string, string> {
  const key = labelNames[name];
  return present({ variant, tier, ...(key === undefined ? {} : { [key]: label }) });
}

/** Labels with a value; Prometheus takes an empty label for an absent one. */
function present(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}

/** Cumulative buckets; the sum is right to 2 %, as the distribution is. */
function histogramSamples(
  name: string,
  labels: Record<string, string>,
  { zeros, buckets }: Distribution,
  per: number,
  bounds: readonly number[],
): Sample[] {
  let count = zeros;
  let sum = 0;
  const below = bounds.map(() => zeros);
  for (const [index, each] of buckets) {
    const value = valueOfBucket(index) / per;
    count += each;
    sum += each * value;
    bounds.forEach((bound, i) => {
      if (value <= bound) below[i] = (below[i] ?? 0) + each;
    });
  }
  return [
    ...bounds.map((bound, i) => ({
      name: `${name}_bucket`,
      labels: { ...labels, le: String(bound) },
      value: below[i] ?? 0,
    })),
    { name: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
    { name: `${name}_sum`, labels, value: sum },
    { name: `${name}_count`, labels, value: count },
  ];
}
