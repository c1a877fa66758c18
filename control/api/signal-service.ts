import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { SignalService } from "../gen/weir/v1/signals_pb.ts";
import { saturation } from "../loads/index.ts";
import { resolveName, routeName } from "../route/index.ts";
import type { RouteVariants } from "../signals/index.ts";
import { type AppliedContext, appliedForPrincipal } from "./applied.ts";
import type { ApiContext } from "./context.ts";
import { notFound } from "./errors.ts";

/** What variants do, now and in the last minutes, and how busy their pods are. */
export function createSignalService(
  context: AppliedContext & Pick<ApiContext, "loads" | "registry" | "store" | "signals">,
): ServiceImpl<typeof SignalService> {
  const { loads, registry, store, signals } = context;
  const podLoads = loads.pods;
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
      const appliedOf = appliedForPrincipal(context);
      return {
        routes: (await named(name)).map((route) => {
          const { wanted, applied } = appliedOf(route.name, route.state);
          return { ...signals.signals(route), wanted, applied };
        }),
      };
    },
    async listPods({ name }) {
      needName(name);
      const [route] = await named(name);
      const observed = loads.observed
        .of(route?.name ?? "")
        .map(({ source, permille, proxies }) => ({
          source,
          saturationPercent: permille / 10,
          proxies,
        }));
      const registered = registry
        .list(route?.name ?? "")
        .map(({ variant, address, state }) => ({ variant, endpoint: address, state }));
      if (podLoads === undefined) {
        const problem = "its metrics are not read";
        return { read: false, pods: registered.map((pod) => ({ ...pod, problem })), observed };
      }
      const overload = route?.state.route?.spec?.rateLimit?.overload;
      const listed = (route?.state.route?.spec?.variants ?? []).flatMap(
        ({ name: variant, endpoints: each }) => each.map((endpoint) => ({ variant, endpoint })),
      );
      const endpoints = [...listed, ...registered];
      // Who asks first waits for the pods, as long as they have to answer.
      await Promise.all(endpoints.map(({ endpoint }) => podLoads.asked(endpoint)));
      const pods = endpoints.map((pod) => {
        const load = podLoads.of(pod.endpoint);
        if (typeof load === "string") return { ...pod, problem: load };
        const { cache, running, server, waiting } = load;
        const permille = saturation(overload, [load]);
        return {
          ...pod,
          server,
          ...(running === undefined ? {} : { running }),
          ...(waiting === undefined ? {} : { waiting }),
          ...(cache === undefined ? {} : { kvCachePercent: 100 * cache }),
          ...(permille === undefined ? {} : { saturationPercent: permille / 10 }),
        };
      });
      return { read: true, pods, observed };
    },
    async getHistory({ name: word }) {
      needName(word);
      const [{ name } = { name: word }] = await named(word);
      return signals.history(name);
    },
  };
}

/** Of one route, not of whichever comes first. @throws ConnectError */
function needName(name: string): void {
  if (name === "") throw new ConnectError("name is required", Code.InvalidArgument);
}

/** A route with the names of its variants, as signals are split by them. */
export function variantsOf(route: InferenceRoute): RouteVariants {
  return { name: routeName(route), variants: route.spec?.variants.map(({ name }) => name) ?? [] };
}
