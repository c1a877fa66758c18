import type { Load, ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { InferenceRoute, Overload } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import type { PodLoads } from "./ask.ts";
import type { PodLoad } from "./read.ts";

/** Answers reports of proxies with how busy the pods of their routes are. */
export interface AnnouncedLoads {
  /** The routes as they are stored now. */
  follow(states: readonly RouteState[]): void;
  /** For the routes that a report names, as far as their pods are asked here. */
  of(report: ReportRequest): Load[];
  /** How busy the pods of each variant are, of the routes whose pods are asked here. */
  byVariant(): { route: string; variant: string; permille: number }[];
}

const defaultMarks = { queueDepth: 5, kvCachePercent: 80 };
const keptMs = 500;

/**
 * Makes the answers to proxies.
 * @param asks whether this replica asks the pods of a route: one of several does
 */
export function createAnnouncedLoads(
  { of: loadOf }: PodLoads,
  asks: (route: string) => boolean,
  monotonicMs: () => number,
): AnnouncedLoads {
  let routes = new Map<string, InferenceRoute>();
  const known = new Map<string, { permille: number | undefined; atMs: number }>();

  function permilleOf(name: string, route: InferenceRoute): number | undefined {
    const nowMs = monotonicMs();
    const before = known.get(name);
    if (before && nowMs - before.atMs < keptMs) return before.permille;
    const permille = byTraffic(
      (route.spec?.variants ?? []).map(({ weight, endpoints }) => ({
        weight,
        permille: saturation(
          route.spec?.rateLimit?.overload,
          endpoints.map((endpoint) => loadOf(endpoint)),
        ),
      })),
    );
    known.set(name, { permille, atMs: nowMs });
    return permille;
  }

  return {
    follow(states) {
      routes = new Map(
        states.flatMap(({ route }) =>
          route?.spec?.rateLimit?.overload ? [[routeName(route), route] as const] : [],
        ),
      );
      for (const name of known.keys()) if (!routes.has(name)) known.delete(name);
    },
    of({ counters, filter }) {
      // One module of a proxy sheds load.
      if (filter !== "" || routes.size === 0) return [];
      return [...new Set(counters.map(({ route }) => route))].flatMap((name): Load[] => {
        const route = routes.get(name);
        const permille = route && asks(`pods ${name}`) ? permilleOf(name, route) : undefined;
        return permille === undefined
          ? []
          : [{ $typeName: "weir.v1.Load", route: name, saturationPermille: permille }];
      });
    },
    byVariant: () =>
      [...routes].flatMap(([name, { spec }]) =>
        (asks(`pods ${name}`) ? (spec?.variants ?? []) : []).flatMap((variant) => {
          const loads = variant.endpoints.map((endpoint) => loadOf(endpoint));
          const permille = saturation(spec?.rateLimit?.overload, loads);
          return permille === undefined ? [] : [{ route: name, variant: variant.name, permille }];
        }),
      ),
  };
}

/**
 * The mean of the variants by their weights, so that an idle canary does not hide a busy stable
 * variant. Undefined where variants of unknown load have most of the weight.
 */
export function byTraffic(
  variants: readonly { weight: number; permille: number | undefined }[],
): number | undefined {
  let all = 0;
  let answering = 0;
  let sum = 0;
  for (const { weight, permille } of variants) {
    all += weight;
    if (permille === undefined) continue;
    answering += weight;
    sum += weight * permille;
  }
  return answering > 0 && 2 * answering >= all ? Math.round(sum / answering) : undefined;
}

/**
 * The mean of the pods that answer, each at its highest signal against its mark; 1000 is saturated.
 * Undefined where most pods do not answer: a pod that hangs is silent and not idle.
 */
export function saturation(
  overload: Overload | undefined,
  loads: readonly (PodLoad | string)[],
): number | undefined {
  const queueMark = overload?.queueDepth ?? defaultMarks.queueDepth;
  const cacheMark = (overload?.kvCachePercent ?? defaultMarks.kvCachePercent) / 100;
  const answering = loads.flatMap((load) => {
    if (typeof load === "string") return [];
    const parts = [
      ...(load.waiting !== undefined && queueMark > 0 ? [load.waiting / queueMark] : []),
      ...(load.cache !== undefined && cacheMark > 0 ? [load.cache / cacheMark] : []),
    ];
    return parts.length > 0 ? [Math.min(Math.max(...parts), 100)] : [];
  });
  if (answering.length === 0 || 2 * answering.length < loads.length) return undefined;
  return Math.round((1000 * answering.reduce((sum, each) => sum + each, 0)) / answering.length);
}
