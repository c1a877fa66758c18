import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Quantiles,
  QuantilesSchema,
  type RouteSignals,
  RouteSignalsSchema,
  type Signals,
  SignalsSchema,
} from "../gen/weir/v1/signals_pb.ts";
import {
  counterNames,
  type Distribution,
  distributionIn,
  histogramNames,
  labelsOf,
  type Observation,
  quantile,
  totalOf,
} from "../report/index.ts";
import { tenantsOf, tiersOf } from "./refusals.ts";

/**
 * A route's signals from what was reported within a window.
 * @param variants names to list, whether or not they had requests
 * @param seconds length of the window, above 0
 */
export function signalsOf(
  name: string,
  variants: readonly string[],
  window: Observation,
  seconds: number,
): RouteSignals {
  return create(RouteSignalsSchema, {
    name,
    total: signals(window, seconds, {}, totalOf(window, counterNames.canaryRequests)),
    variants: variants.map((variant) => ({
      variant,
      signals: signals(
        window,
        seconds,
        { variant },
        totalOf(window, counterNames.canaryRequests, { label: variant }),
      ),
    })),
    tiers: tiersOf(window, seconds),
    tenants: tenantsOf(window, seconds),
    shadowPerSecond: totalOf(window, counterNames.shadowTagged) / seconds,
  });
}

function signals(
  window: Observation,
  seconds: number,
  where: { variant?: string },
  chosen: number,
): Signals {
  const answers = totalOf(window, counterNames.responses, where);
  const failed =
    totalOf(window, counterNames.responses, { ...where, label: "5xx" }) +
    totalOf(window, counterNames.responses, { ...where, label: "none" }) +
    totalOf(window, counterNames.failedAnswers, where) +
    // The variant failed, and the route did not.
    (where.variant === undefined
      ? 0
      : totalOf(window, counterNames.responses, { ...where, label: "fallback" })) +
    totalOf(window, counterNames.streams, { ...where, label: "cut" });
  const values: MessageInitShape<typeof SignalsSchema> = {
    // A route without a canary has no choice to count: its answers say how many there were.
    requestsPerSecond: Math.max(chosen, answers) / seconds,
    timeToFirstTokenMs: quantiles(distributionIn(window, histogramNames.timeToFirstToken, where)),
    tokenGapMs: quantiles(distributionIn(window, histogramNames.tokenGap, where)),
    tokensPerSecond:
      totalOf(window, counterNames.tokens, { ...where, label: "completion" }) / seconds,
  };
  if (answers > 0) {
    values.errorPercent = Math.min(100, (100 * failed) / answers);
    const refused = ["4xx", "501"].map((label) =>
      totalOf(window, counterNames.responses, { ...where, label }),
    );
    values.refusedPercent = (100 * refused.reduce((sum, each) => sum + each, 0)) / answers;
  }
  const waits = labelsOf(window, counterNames.waited).filter(
    (label) => totalOf(window, counterNames.waited, { ...where, label }) > 0,
  );
  if (waits.length > 0) values.waitedSeconds = Math.max(...waits.map(Number.parseFloat));
  return create(SignalsSchema, values);
}

function quantiles(distribution: Distribution): Quantiles {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantile(distribution, q));
  return create(QuantilesSchema, {
    ...(p50 === undefined ? {} : { p50 }),
    ...(p95 === undefined ? {} : { p95 }),
    ...(p99 === undefined ? {} : { p99 }),
  });
}
