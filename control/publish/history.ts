import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type InferenceRoute, InferenceRouteSchema } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { sameButWeights } from "../route/index.ts";

/** What ran in a scope before what runs now. */
export interface History {
  /** A state of a route ran and was replaced; what is gone is forgotten. */
  ran(name: string, state: RouteState | undefined, isThere: boolean): void;
  /**
   * Whether a change leads back: to a document or to weights that ran before, or
   * from a variant with few users to those that have most of them.
   * @param byHand someone gives users back, who may do so to weights that never were
   */
  leadsBack(
    name: string,
    before: RouteState | undefined,
    after: RouteState,
    byHand: boolean,
  ): boolean;
}

/** States that are remembered of each route. */
const maxStates = 32;

export function createHistory(): History {
  const known = new Map<string, Set<string>>();
  return {
    ran(name, state, isThere) {
      if (!isThere) known.delete(name);
      if (!isThere || state?.route === undefined) return;
      const keys = known.get(name) ?? new Set();
      for (const key of [documentKey(state.route), weightsKey(state.route)]) {
        keys.delete(key);
        keys.add(key);
      }
      for (const key of keys) if (keys.size > 2 * maxStates) keys.delete(key);
      known.set(name, keys);
    },
    leadsBack(name, before, after, byHand) {
      if (before?.route === undefined || after.route === undefined) return false;
      const keys = known.get(name);
      if (keys?.has(documentKey(after.route))) return true;
      if (!sameButWeights(before.route, after.route)) return false;
      return (
        keys?.has(weightsKey(after.route)) === true || (byHand && drains(before.route, after.route))
      );
    },
  };
}

function documentKey(route: InferenceRoute): string {
  return createHash("sha256").update(toBinary(InferenceRouteSchema, route)).digest("base64");
}

function weightsKey({ spec }: InferenceRoute): string {
  return JSON.stringify(spec?.variants.map(({ name, weight }) => [name, weight]));
}

/** Whether all that lose users lose all of them, to variants that have most users already. */
function drains(before: InferenceRoute, after: InferenceRoute): boolean {
  const moves = (before.spec?.variants ?? []).map(({ weight }, i) => ({
    from: weight,
    to: after.spec?.variants[i]?.weight ?? weight,
  }));
  const losing = moves.filter(({ from, to }) => to < from);
  const gaining = moves.filter(({ from, to }) => to > from);
  const lost = losing.reduce((sum, { from }) => sum + from, 0);
  return losing.every(({ to }) => to === 0) && gaining.every(({ from }) => from > lost);
}
