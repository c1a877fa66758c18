import type { ServiceImpl } from "@connectrpc/connect";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { SignalService } from "../gen/weir/v1/signals_pb.ts";
import { resolveName, routeName } from "../route/index.ts";
import type { RouteVariants } from "../signals/index.ts";
import { appliedIn } from "./applied.ts";
import type { ApiContext } from "./context.ts";
import { notFound } from "./errors.ts";

export function createSignalService(context: ApiContext): ServiceImpl<typeof SignalService> {
  const { podLoads, store, signals } = context;
  async function named(word: string): Promise<(RouteVariants & { state: RouteState })[]> {
    const routes = (await store.list()).routes.flatMap((state) =>
      state.route ? [{ ...variantsOf(state.route), state }] : [],
    );
    if (word === "") return routes;
    const name = resolveName(
      word,
      routes.map((route) => route.name),
    );
    const found = routes.find((route) => route.name === name);
    if (found === undefined) throw notFound(name);
    return [found];
  }
  return {
    async listSignals({ name }) {
      const appliedOf = appliedIn(context);
      return {
        routes: (await named(name)).map((route) => {
          const { wanted, applied } = appliedOf(route.name, route.state);
          return { ...signals.signals(route), wanted, applied };
        }),
      };
    },
    async listPods({ name }) {
      if (podLoads === undefined) return { read: false };
      const [route] = await named(name || "?");
      const pods = (route?.state.route?.spec?.variants ?? []).flatMap(
        ({ name: variant, endpoints }) =>
          endpoints.map((endpoint) => {
            const load = podLoads(endpoint);
            if (typeof load === "string") return { variant, endpoint, problem: load };
            const { cache, running, waiting } = load;
            return { variant, endpoint, running, waiting, kvCachePercent: 100 * cache };
          }),
      );
      return { read: true, pods };
    },
    async getHistory({ name: word }) {
      const [{ name } = { name: word }] = await named(word);
      return signals.history(name);
    },
  };
}

/** A route as the signals are told by it. */
export function variantsOf(route: InferenceRoute): RouteVariants {
  return { name: routeName(route), variants: route.spec?.variants.map(({ name }) => name) ?? [] };
}
