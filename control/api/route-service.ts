import { create, toJson } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { InferenceRouteSchema } from "../gen/weir/v1/route_pb.ts";
import {
  type GetRouteResponse,
  GetRouteResponseSchema,
  type RouteService,
  type RouteState,
  RouteStateSchema,
} from "../gen/weir/v1/service_pb.ts";
import {
  draftRoute,
  hostConflicts,
  movesBetween,
  type Problem,
  parseRoute,
  planRoute,
  resolveName,
  routeName,
  sameRoute,
  shiftWeights,
  validateRoute,
} from "../route/index.ts";
import { StaleEtagError } from "../store/index.ts";
import { type AppliedContext, type AppliedOf, appliedForPrincipal } from "./applied.ts";
import { type ApiContext, author } from "./context.ts";
import { notFound, problemsError } from "./errors.ts";
import { principalSeesRoute } from "./visible.ts";

const maxBehindInList = 20;

/** Routes: applied, read, rendered, planned, shifted and deleted. */
export function createRouteService(
  context: AppliedContext & Pick<ApiContext, "store" | "hosts" | "ledger" | "render">,
): ServiceImpl<typeof RouteService> {
  const { store } = context;

  async function stored(word: string): Promise<{ name: string; state: RouteState }> {
    const { routes } = await store.list();
    const name = resolveName(
      word,
      routes.flatMap(({ route }) => (route ? [routeName(route)] : [])),
    );
    const state = await store.get(name);
    if (state === undefined) throw notFound(name);
    return { name, state };
  }

  /** A document from the network, checked; its name and what is stored under it. */
  async function checked(
    route: InferenceRoute | undefined,
  ): Promise<{ name: string; route: InferenceRoute; before: RouteState | undefined }> {
    if (route === undefined)
      throw problemsError([{ code: "missing-field", path: "route", message: "route is required" }]);
    const hosts = await context.hosts();
    const problems: Problem[] = parseRoute(toJson(InferenceRouteSchema, route)).problems;
    if (problems.length === 0)
      problems.push(...validateRoute(route), ...hostConflicts(route, hosts, principalSeesRoute()));
    if (problems.length > 0) throw problemsError(problems);
    const name = routeName(route);
    return { name, route, before: await store.get(name) };
  }

  function described(name: string, state: RouteState, appliedOf: AppliedOf): GetRouteResponse {
    const counts = context.ledger.counts("canary_requests", name);
    return create(GetRouteResponseSchema, {
      state,
      applied: appliedOf(name, state),
      traffic: counts.map(({ label, total, perSecond }) => ({
        variant: label,
        requests: BigInt(total),
        requestsPerSecond: perSecond,
      })),
    });
  }

  return {
    async applyRoute({ route: given, etag, reason, dryRun }) {
      const by = author(reason);
      const { name, route, before } = await checked(given);
      const changed = !sameRoute(before?.route, route);
      const draft = draftRoute(route, before);
      if (dryRun && changed && etag !== "" && etag !== (before?.etag ?? ""))
        throw new StaleEtagError(name, etag, before?.etag ?? "");
      if (dryRun || !changed) {
        const state =
          before && !changed
            ? before
            : create(RouteStateSchema, { ...draft, etag: before?.etag ?? "0" });
        return { state, created: before === undefined, changed };
      }
      const state = await store.put(name, draft, etag, "apply", by);
      return { state, created: before === undefined, changed };
    },

    async getRoute({ name: word }) {
      const { name, state } = await stored(word);
      return described(name, state, appliedForPrincipal(context));
    },

    async listRoutes({ namespace }) {
      const { routes } = await store.list();
      const appliedOf = appliedForPrincipal(context);
      // Of many proxies that are behind, a few are enough here; GetRoute names all.
      const appliedInShort: AppliedOf = (name, state) => {
        const applied = appliedOf(name, state);
        return { ...applied, behind: applied.behind.slice(0, maxBehindInList) };
      };
      const named = routes.flatMap((state) =>
        state.route ? [{ name: routeName(state.route), state }] : [],
      );
      return {
        routes: named
          .filter(({ name }) => namespace === "" || name.startsWith(`${namespace}/`))
          .map(({ name, state }) => described(name, state, appliedInShort)),
      };
    },

    async deleteRoute({ name: word, etag, reason }) {
      const by = author(reason);
      const { name } = await stored(word);
      await store.delete(name, etag, by);
      return {};
    },

    async *watchRoute({ name: word }, { signal }) {
      const { routes, sequence } = await store.list();
      const names = routes.flatMap(({ route }) => (route ? [routeName(route)] : []));
      const wanted = word === "" ? undefined : resolveName(word, names);
      // Reject callers who may not see it now: the stream would never send them anything.
      if (wanted !== undefined) await store.get(wanted);
      const isWanted = ({ route }: RouteState) =>
        wanted === undefined || (route !== undefined && routeName(route) === wanted);
      for (const state of routes) if (isWanted(state)) yield { event: "put", state };
      for await (const { event, state } of store.watch(sequence, signal))
        if (isWanted(state)) yield { event, state };
    },

    async renderRoute({ name, route: given, ...asked }) {
      if (given && name !== "")
        throw problemsError([
          {
            code: "one-of",
            path: "name",
            message: `name "${name}" and route are both set: set only one of them`,
          },
        ]);
      const state = given
        ? create(
            RouteStateSchema,
            await checked(given).then(({ route, before }) => draftRoute(route, before)),
          )
        : (await stored(name)).state;
      return { yaml: context.render([state], asked) };
    },

    async planRoute({ route: given }) {
      const { route, before } = await checked(given);
      return planRoute(route, before);
    },

    async shiftWeights({ name: word, weights, etag, reason }) {
      const by = author(reason);
      const { name, state: before } = await stored(word);
      const { route, problems } = shiftWeights(before.route as InferenceRoute, weights);
      if (route === undefined) throw problemsError(problems);
      if (sameRoute(before.route, route)) return { state: before, moves: [], changed: false };
      // Without an etag the shift is still against what was read here, not against whatever came in between.
      const state = await store.put(
        name,
        draftRoute(route, before),
        etag || before.etag,
        "shift",
        by,
      );
      return { state, moves: movesBetween(before.buckets, state.buckets), changed: true };
    },
  };
}
