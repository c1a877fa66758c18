import type { ServiceImpl } from "@connectrpc/connect";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { SignalService } from "../gen/weir/v1/signals_pb.ts";
import { resolveName, routeName } from "../route/index.ts";
import type { RouteVariants } from "../signals/index.ts";
import type { ApiContext } from "./context.ts";
import { notFound } from "./errors.ts";

export function createSignalService({
  store,
  signals,
}: ApiContext): ServiceImpl<typeof SignalService> {
  async function named(word: string): Promise<RouteVariants[]> {
    const routes = (await store.list()).routes.flatMap(({ route }) => (route ? [route] : []));
    if (word === "") return routes.map(variantsOf);
    const name = resolveName(word, routes.map(routeName));
    const found = routes.find((route) => routeName(route) === name);
    if (found === undefined) throw notFound(name);
    return [variantsOf(found)];
  }
  return {
    listSignals: async ({ name }) => ({ routes: (await named(name)).map(signals.signals) }),
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
