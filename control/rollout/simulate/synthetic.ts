import { create } from "@bufbuild/protobuf";
import {
  CounterSchema,
  HistogramSchema,
  type ReportRequest,
  ReportRequestSchema,
} from "../../gen/weir/v1/report_pb.ts";
import { bucketOf, counterNames, histogramNames } from "../../report/index.ts";
import { waits } from "../judge/hangs.ts";

/** How answers of one variant are made up. */
export interface Profile {
  /** Medians; values spread around them as logarithms of normal ones do. */
  firstTokenMs: number;
  gapMs: number;
  tokens: number;
  /** Standard deviation of the logarithms. */
  spread: number;
  /** Shares, 0 to 1. */
  errors: number;
  /** Begun with 200 and ended by an error in the stream. */
  failed: number;
  /** Answered with 4xx. */
  refused: number;
  /** Never answered. */
  hangs: number;
  cut: number;
  /** Finish reason -> share; the rest is "stop". */
  finishes: Readonly<Record<string, number>>;
}

export const goodProfile: Profile = {
  firstTokenMs: 180,
  gapMs: 22,
  tokens: 160,
  spread: 0.5,
  errors: 0.003,
  failed: 0,
  refused: 0.005,
  hangs: 0,
  cut: 0.002,
  finishes: { length: 0.12, tool_calls: 0.05 },
};

/** What may be wrong with a canary, by name: for simulations without a recording. */
export const faults: Readonly<Record<string, Partial<Profile>>> = {
  none: {},
  "slow-first-token": { firstTokenMs: 400 },
  "long-gaps": { gapMs: 60 },
  "cut-streams": { cut: 0.15 },
  errors: { errors: 0.15 },
  "errors-within-200": { failed: 0.15 },
  refusals: { refused: 0.15 },
  hangs: { hangs: 0.3 },
  "wrong-finish-reasons": { finishes: { length: 0.5, tool_calls: 0.05 } },
  "short-answers": { tokens: 60 },
};

/** A part of the users, for whom the canary is another one. */
export interface TenantProfile {
  tenant: string;
  /** Of the requests, 0 to 1. */
  share: number;
  canary: Partial<Profile>;
}

/** What may be wrong for one of its tenants alone, by name. */
export const tenantFaults: Readonly<Record<string, readonly TenantProfile[]>> = {
  "errors-for-one-tenant": [{ tenant: "one", share: 0.1, canary: { errors: 0.4 } }],
};

/** All names of faults. */
export const faultNames: readonly string[] = [...Object.keys(faults), ...Object.keys(tenantFaults)];

/** Cumulative counts of one proxy, as its filters would report them. */
export interface Synthetic {
  /** Adds this many answers; the canary's share in percent, and the tenants that it gets none of. */
  answer(count: number, canaryPercent: number, pins?: readonly string[]): void;
  /** @param atMs when it is sent; what waits has waited until then */
  report(atMs: number, revision: string): ReportRequest;
}

/** What the filters count for each tenant too. */
const ofTenants: ReadonlySet<string> = new Set([
  counterNames.responses,
  counterNames.failedAnswers,
  counterNames.waited,
  counterNames.streams,
  counterNames.finishes,
  histogramNames.timeToFirstToken,
]);

export interface SyntheticOptions {
  node: string;
  route: string;
  stable: string;
  canary: string;
  stableProfile: Profile;
  canaryProfile: Profile;
  /** Uniform in [0, 1). */
  random(): number;
  epoch: string;
  /** Tenants that are measured by themselves; the shares sum to 1 at most. */
  tenants?: readonly TenantProfile[];
}

export function createSynthetic(options: SyntheticOptions): Synthetic {
  const { node, route, random, epoch, tenants = [] } = options;
  const counters = new Map<
    string,
    { name: string; label: string; variant: string; tenant: string; value: number }
  >();
  const histograms = new Map<
    string,
    { name: string; variant: string; tenant: string; buckets: Map<number, number> }
  >();
  /** Requests that were never answered, and how long they have been seen to wait. */
  const hung: {
    variant: string;
    caller: TenantProfile | undefined;
    sinceMs: number;
    seen: number;
  }[] = [];
  let nowMs = 0;
  /** Tenant of the synthetic response; undefined: no known tenant. */
  let caller: TenantProfile | undefined;

  function count(name: string, label: string, variant: string): void {
    const ofTenant = caller && ofTenants.has(name);
    for (const tenant of ofTenant ? ["", caller?.tenant ?? ""] : [""]) {
      const key = `${name} ${label} ${variant} ${tenant}`;
      const counter = counters.get(key) ?? { name, label, variant, tenant, value: 0 };
      counter.value++;
      counters.set(key, counter);
    }
  }
  function observe(name: string, variant: string, value: number, times = 1): void {
    const ofTenant = caller && ofTenants.has(name);
    const bucket = bucketOf(value);
    for (const tenant of ofTenant ? ["", caller?.tenant ?? ""] : [""]) {
      const key = `${name} ${variant} ${tenant}`;
      const histogram = histograms.get(key) ?? { name, variant, tenant, buckets: new Map() };
      histogram.buckets.set(bucket, (histogram.buckets.get(bucket) ?? 0) + times);
      histograms.set(key, histogram);
    }
  }
  /** Draws whose request comes next. */
  function callerOf(): TenantProfile | undefined {
    if (tenants.length === 0) return undefined;
    let at = random();
    return tenants.find(({ share }) => {
      at -= share;
      return at < 0;
    });
  }
  /** Box and Muller's transform of two uniform numbers. */
  function spread(median: number, deviation: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return median * Math.exp(deviation * normal);
  }
  function answer(variant: string, profile: Profile): void {
    count(counterNames.canaryRequests, variant, "");
    if (profile.hangs > 0 && random() < profile.hangs) {
      hung.push({ variant, caller, sinceMs: nowMs, seen: 0 });
      return;
    }
    if (random() < profile.refused) {
      count(counterNames.responses, "4xx", variant);
      return;
    }
    if (random() < profile.errors) {
      count(counterNames.responses, "5xx", variant);
      return;
    }
    count(counterNames.responses, "2xx", variant);
    const firstTokenMs = spread(profile.firstTokenMs, profile.spread);
    const gapMs = spread(profile.gapMs, profile.spread / 2);
    const tokens = Math.max(1, Math.round(spread(profile.tokens, profile.spread)));
    countWaits(variant, 0, firstTokenMs);
    observe(histogramNames.timeToFirstByte, variant, firstTokenMs * 0.95);
    observe(histogramNames.timeToFirstToken, variant, firstTokenMs);
    // A few gaps stand for all of a stream: they are alike, and this has to be fast.
    for (let i = 0; i < 4; i++)
      observe(histogramNames.tokenGap, variant, spread(gapMs, profile.spread / 2), tokens / 4);
    if (random() < profile.cut) {
      count(counterNames.streams, "cut", variant);
      return;
    }
    count(counterNames.streams, "done", variant);
    if (profile.failed > 0 && random() < profile.failed) {
      count(counterNames.failedAnswers, "error", variant);
      return;
    }
    observe(histogramNames.outputTokens, variant, tokens);
    observe(histogramNames.tokensPerSecond, variant, 1000 / gapMs);
    observe(histogramNames.streamDuration, variant, firstTokenMs + tokens * gapMs);
    let at = random();
    const reason = Object.entries(profile.finishes).find(([, share]) => {
      at -= share;
      return at < 0;
    })?.[0];
    count(counterNames.finishes, reason ?? "stop", variant);
  }

  /** Counts the waits that a request reached; returns how many it has by now. */
  function countWaits(variant: string, seen: number, waitedMs: number): number {
    let reached = seen;
    for (; reached < waits.length && waitedMs >= 4000 * 2 ** reached; reached++)
      count(counterNames.waited, waits[reached] ?? "", variant);
    return reached;
  }

  return {
    answer(requests, canaryPercent, pins = []) {
      for (let i = 0; i < requests; i++) {
        caller = callerOf();
        const pinned = caller !== undefined && pins.includes(caller.tenant);
        if (!pinned && random() * 100 < canaryPercent)
          answer(options.canary, { ...options.canaryProfile, ...caller?.canary });
        else answer(options.stable, options.stableProfile);
      }
    },
    report(atMs, revision) {
      nowMs = atMs;
      for (const each of hung) {
        caller = each.caller;
        each.seen = countWaits(each.variant, each.seen, nowMs - each.sinceMs);
      }
      return create(ReportRequestSchema, {
        node,
        epoch,
        revision,
        counters: [...counters.values()].map(({ value, ...each }) =>
          create(CounterSchema, { ...each, route, value: BigInt(value) }),
        ),
        histograms: [...histograms.values()].map(({ buckets, ...each }) => {
          const sorted = [...buckets].sort(([a], [b]) => a - b);
          return create(HistogramSchema, {
            ...each,
            route,
            index: sorted.map(([index]) => index),
            count: sorted.map(([, value]) => BigInt(Math.round(value))),
          });
        }),
      });
    },
  };
}

/** Uniform numbers from a seed (mulberry32): the same seed gives the same rollout. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
