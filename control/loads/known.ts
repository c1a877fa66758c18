import type { Load, ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { type AnnouncedLoads, createAnnouncedLoads } from "./announced.ts";
import type { PodLoads } from "./ask.ts";
import { createObservedLoads, type ObservedLoads } from "./observed.ts";

/** The load of pods by all sources: their own metrics, where they are asked, and what proxies see. */
export interface KnownLoads extends Pick<AnnouncedLoads, "byVariant"> {
  /** The routes as they are stored now. */
  follow(states: readonly RouteState[]): void;
  /** The response to a proxy's report. */
  of(report: ReportRequest): Load[];
  observed: ObservedLoads;
  /** Absent where the operator has them not asked. */
  pods: PodLoads | undefined;
}

/**
 * Joins the sources of loads.
 * @param podLoads absent where pods are not asked
 * @param asks whether this replica asks the pods of a route
 */
export function createKnownLoads(
  podLoads: PodLoads | undefined,
  asks: (route: string) => boolean,
  monotonicMs: () => number,
): KnownLoads {
  const observed = createObservedLoads(monotonicMs);
  const announced = podLoads && createAnnouncedLoads(podLoads, asks, monotonicMs);
  return {
    follow(states) {
      observed.follow(states);
      announced?.follow(states);
    },
    of: (report) => announced?.of(report) ?? [],
    byVariant: () => announced?.byVariant() ?? [],
    observed,
    pods: podLoads,
  };
}
