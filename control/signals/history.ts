import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type GetHistoryResponse,
  GetHistoryResponseSchema,
  type RouteSignals,
} from "../gen/weir/v1/signals_pb.ts";
import { during, type Ledger, type Observation } from "../report/index.ts";
import { signalsOf } from "./signals.ts";

/** Milliseconds between two points of the history. */
export const sampleMs = 5_000;
/** Signals are of this long. */
const windowMs = 60_000;
/** Points that are kept: fifteen minutes of them. */
const maxPoints = 180;

/** The routes' signals now and before, kept in memory. */
export interface SignalHistory {
  /** Takes a point of every route; to be called every {@link sampleMs}. Routes not named are forgotten. */
  sample(routes: readonly RouteVariants[]): void;
  /** Signals over the last minute, or as much of it as has been seen. */
  signals(route: RouteVariants): RouteSignals;
  history(name: string): GetHistoryResponse;
}

/** A route by name, with the names of its variants. */
export interface RouteVariants {
  name: string;
  variants: readonly string[];
}

interface Point {
  atMs: number;
  signals: RouteSignals;
}

interface Track {
  /** What was known at the last points, oldest first: a window's length and no more. */
  observations: Observation[];
  points: Point[];
}

/**
 * Keeps signals of routes for the charts.
 * @param nowMs the wall clock in milliseconds
 */
export function createSignalHistory(
  ledger: Pick<Ledger, "observation">,
  nowMs: () => number = Date.now,
): SignalHistory {
  const tracks = new Map<string, Track>();
  return {
    sample(routes) {
      const named = new Set(routes.map(({ name }) => name));
      for (const name of tracks.keys()) if (!named.has(name)) tracks.delete(name);
      for (const route of routes) {
        const now = ledger.observation(route.name);
        const track = tracks.get(route.name) ?? { observations: [], points: [] };
        tracks.set(route.name, track);
        const last = track.observations.at(-1);
        if (last) track.points.push({ atMs: nowMs(), signals: between(route, last, now) });
        if (track.points.length > maxPoints) track.points.shift();
        track.observations.push(now);
        while ((track.observations[1]?.atMs ?? now.atMs) <= now.atMs - windowMs)
          track.observations.shift();
      }
    },
    signals(route) {
      const now = ledger.observation(route.name);
      return between(route, tracks.get(route.name)?.observations[0] ?? now, now);
    },
    history: (name) => historyOf(tracks.get(name)?.points ?? []),
  };
}

function between(route: RouteVariants, before: Observation, now: Observation): RouteSignals {
  const seconds = Math.max(1, (now.atMs - before.atMs) / 1000);
  return signalsOf(route.name, route.variants, during(before, now), seconds);
}

const ofVariant = {
  requests_per_second: ({ signals }) => signals?.requestsPerSecond,
  error_percent: ({ signals }) => signals?.errorPercent,
  time_to_first_token_p50_ms: ({ signals }) => signals?.timeToFirstTokenMs?.p50,
  time_to_first_token_p95_ms: ({ signals }) => signals?.timeToFirstTokenMs?.p95,
  tokens_per_second: ({ signals }) => signals?.tokensPerSecond,
} satisfies Record<string, (variant: RouteSignals["variants"][number]) => number | undefined>;

function historyOf(points: readonly Point[]): GetHistoryResponse {
  const names = [
    ...new Set(points.flatMap(({ signals }) => signals.variants.map(({ variant }) => variant))),
  ];
  const series = Object.entries(ofVariant).flatMap(([signal, read]) =>
    names.map((variant) => ({
      signal,
      variant,
      values: points.map(({ signals }) => {
        const found = signals.variants.find((each) => each.variant === variant);
        return (found && read(found)) ?? Number.NaN;
      }),
    })),
  );
  const refused = points.map(({ signals }) =>
    signals.tiers.reduce((sum, { refusedPerSecond }) => sum + refusedPerSecond, 0),
  );
  return create(GetHistoryResponseSchema, {
    at: points.map(({ atMs }) => timestampFromMs(atMs)),
    series: [...series, { signal: "refused_per_second", variant: "", values: refused }],
  });
}
