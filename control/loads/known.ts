import type { Load, ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { PodLoads } from "./ask.ts";
import { createSeenLoads, type SeenLoads } from "./seen.ts";
import { createToldLoads, type ToldLoads } from "./told.ts";

/** All that is known of how busy pods are: what they tell, where they are asked, and what proxies see. */
export interface KnownLoads extends Pick<ToldLoads, "byVariant"> {
  /** The routes as they are stored now. */
  follow(states: readonly RouteState[]): void;
  /** What a proxy that sent a report is told. */
  of(report: ReportRequest): Load[];
  seen: SeenLoads;
  /** Absent where the operator has them not asked. */
  pods: PodLoads | undefined;
}

/**
 * @param podLoads absent where pods are not asked
 * @param asks whether this replica asks the pods of a route
 */
export function createKnownLoads(
  podLoads: PodLoads | undefined,
  asks: (route: string) => boolean,
  monotonicMs: () => number,
): KnownLoads {
  const seen = createSeenLoads(monotonicMs);
  const told = podLoads && createToldLoads(podLoads, asks, monotonicMs);
  return {
    follow(states) {
      seen.follow(states);
      told?.follow(states);
    },
    of: (report) => told?.of(report) ?? [],
    byVariant: () => told?.byVariant() ?? [],
    seen,
    pods: podLoads,
  };
}
