import type { ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";

/** The load of pods as proxies observe it, besides the pods' /metrics. */
export interface ObservedLoads {
  /** The stored routes; observations of other routes, and of those that shed no load, are dropped. */
  follow(states: readonly RouteState[]): void;
  take(report: Pick<ReportRequest, "node" | "saturations">): void;
  /** By source, the mean of the proxies that reported recently. */
  of(route: string): ObservedLoad[];
  /** Routes that any proxy spoke of. */
  routes(): string[];
}

export interface ObservedLoad {
  source: string;
  /** 1000 is saturated. */
  permille: number;
  /** Number of proxies that reported it. */
  proxies: number;
}

const observedSources = ["answers", "estimate"] as const;
/** Age at which an observation is dropped: proxies report once a second, and many routes in turns. */
const keptMs = 10_000;
/** As far as a filter counts. */
const maxPermille = 100_000;
/** Maximum number of kept observations; further ones are dropped until old ones expire. */
const maxWords = 200_000;

/**
 * Keeps what proxies report of the load of pods.
 * @param monotonicMs a clock in milliseconds that never goes back
 */
export function createObservedLoads(monotonicMs: () => number): ObservedLoads {
  /** Of each route that sheds load, by source and node. */
  let routes = new Map<string, Map<string, { permille: number; atMs: number }>>();
  let sweptMs = monotonicMs();
  let words = 0;

  function sweep(nowMs: number): void {
    if (nowMs - sweptMs < keptMs) return;
    sweptMs = nowMs;
    words = 0;
    for (const said of routes.values()) {
      for (const [key, { atMs }] of said) if (nowMs - atMs > keptMs) said.delete(key);
      words += said.size;
    }
  }

  return {
    follow(states) {
      routes = new Map(
        states.flatMap(({ route }) => {
          if (!route?.spec?.rateLimit?.overload) return [];
          const name = routeName(route);
          return [[name, routes.get(name) ?? new Map()] as const];
        }),
      );
    },
    take({ node, saturations }) {
      const nowMs = monotonicMs();
      sweep(nowMs);
      for (const { route, source, permille } of saturations) {
        const said = routes.get(route);
        if (said === undefined || !isSource(source) || permille > maxPermille) continue;
        const key = `${source}\0${node}`;
        if (!said.has(key) && words++ >= maxWords) return;
        said.set(key, { permille, atMs: nowMs });
      }
    },
    of(route) {
      const nowMs = monotonicMs();
      const fresh = [...(routes.get(route) ?? [])].filter(([, { atMs }]) => nowMs - atMs <= keptMs);
      return observedSources.flatMap((source) => {
        const said = fresh.filter(([key]) => key.startsWith(`${source}\0`));
        if (said.length === 0) return [];
        const sum = said.reduce((all, [, { permille }]) => all + permille, 0);
        return [{ source, permille: sum / said.length, proxies: said.length }];
      });
    },
    routes: () => [...routes].flatMap(([name, said]) => (said.size > 0 ? [name] : [])),
  };
}

function isSource(word: string): boolean {
  return (observedSources as readonly string[]).includes(word);
}
