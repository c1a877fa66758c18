import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type StreamFiguresSchema,
  type VariantTraffic,
  VariantTrafficSchema,
} from "../gen/weir/v1/service_pb.ts";
import {
  counterNames,
  distributionIn,
  histogramNames,
  type Ledger,
  type Observation,
  quantile,
  totalOf,
} from "../report/index.ts";

/** What the proxies report about the variants of a route. */
export function trafficOf(
  name: string,
  variants: readonly string[],
  ledger: Ledger,
): VariantTraffic[] {
  const counts = ledger.counts(counterNames.canaryRequests, name);
  const minute = ledger.lastMinute(name);
  return variants.flatMap((variant) => {
    const count = counts.find(({ label }) => label === variant);
    const streams = figuresOf(minute, variant);
    if (count === undefined && streams === undefined) return [];
    return create(VariantTrafficSchema, {
      variant,
      requests: BigInt(count?.total ?? 0),
      requestsPerSecond: count?.perSecond ?? 0,
      ...(streams ? { streams } : {}),
    });
  });
}

function figuresOf(
  minute: Observation,
  variant: string,
): MessageInitShape<typeof StreamFiguresSchema> | undefined {
  const total = (counter: string, label?: string) =>
    totalOf(minute, counter, label === undefined ? { variant } : { variant, label });
  const responses = total(counterNames.responses);
  if (responses === 0) return undefined;
  const errors = total(counterNames.responses, "5xx") + total(counterNames.responses, "none");
  const whole = total(counterNames.streams, "done");
  const cut = total(counterNames.streams, "cut");
  const at = (histogram: string, q: number) =>
    quantile(distributionIn(minute, histogram, { variant }), q);
  return {
    responses: BigInt(responses),
    errorRatio: errors / responses,
    cutRatio: whole + cut > 0 ? cut / (whole + cut) : 0,
    ...defined({
      timeToFirstTokenP50Ms: at(histogramNames.timeToFirstToken, 0.5),
      timeToFirstTokenP95Ms: at(histogramNames.timeToFirstToken, 0.95),
      tokenGapP50Ms: at(histogramNames.tokenGap, 0.5),
      tokenGapP95Ms: at(histogramNames.tokenGap, 0.95),
      tokensPerSecondP50: at(histogramNames.tokensPerSecond, 0.5),
    }),
    promptTokens: BigInt(total(counterNames.tokens, "prompt")),
    completionTokens: BigInt(total(counterNames.tokens, "completion")),
  };
}

function defined(values: Record<string, number | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
