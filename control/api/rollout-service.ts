import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type RolloutProgress,
  RolloutSchema,
  type RolloutService,
  type RolloutState,
} from "../gen/weir/v1/rollout_pb.ts";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import {
  begin,
  type Command,
  command,
  hasEnded,
  parseRollout,
  validateRollout,
  writeRollout,
} from "../rollout/index.ts";
import { resolveName, routeName } from "../route/index.ts";
import { StaleEtagError } from "../store/index.ts";
import { type ApiContext, author, maxReasonLength } from "./context.ts";
import { notFound, problemsError, shownName } from "./errors.ts";
import { principalSeesRoute } from "./visible.ts";

/** Writers that come in between are looked past this often; a rollback must win. */
const maxTries = 50;

export function createRolloutService({
  store,
  rollouts,
  sources,
}: Pick<ApiContext, "store" | "rollouts" | "sources">): ServiceImpl<typeof RolloutService> {
  async function fullName(word: string): Promise<string> {
    const states = await store.listRollouts();
    const { routes } = await store.list();
    return resolveName(word, [
      ...new Set([
        ...routes.flatMap(({ route }) => (route ? [routeName(route)] : [])),
        ...states.map(({ rollout }) => routeName(rollout)),
      ]),
    ]);
  }

  async function stored(word: string): Promise<{ name: string; state: RolloutState }> {
    const name = await fullName(word);
    const state = await store.getRollout(name);
    if (state === undefined)
      throw new ConnectError(`${shownName(name)} has no rollout`, Code.NotFound);
    return { name, state };
  }

  /** Does what was asked against whatever is stored, or, with an etag, against that alone. */
  async function run(
    word: string,
    asked: Command,
    reason: string,
    etag = "",
  ): Promise<{ progress: RolloutProgress }> {
    for (let tries = 1; ; tries++) {
      const { name, state } = await stored(word);
      if (etag !== "" && etag !== state.etag)
        throw new StaleEtagError(`the rollout of ${name}`, etag, state.etag);
      const answer = command(state, asked, reason);
      if ("refusal" in answer) throw new ConnectError(answer.refusal, Code.FailedPrecondition);
      const route = answer.movesWeights ? await store.get(name) : undefined;
      try {
        const after = await writeRollout(store, name, {
          before: state,
          after: answer.state,
          route,
          action: answer.action,
          author: author(reason),
        });
        return { progress: rollouts.progress(name, after) };
      } catch (error) {
        if (!(error instanceof StaleEtagError) || tries >= maxTries) throw error;
      }
    }
  }

  return {
    async startRollout({ rollout: given, reason }) {
      const by = author(reason);
      if (given === undefined)
        throw problemsError([
          { code: "missing-field", path: "rollout", message: "rollout is required" },
        ]);
      const { rollout, problems } = parseRollout(toJson(RolloutSchema, given));
      if (rollout === undefined) throw problemsError(problems);
      const name = routeName(rollout);
      const route = await store.get(name);
      if (route?.route === undefined) throw notFound(name);
      const wrong = validateRollout(rollout, route.route, sources);
      if (wrong.length > 0) throw problemsError(wrong);
      const before = await store.getRollout(name);
      if (before && !hasEnded(before))
        throw new ConnectError(
          `${name} already has a rollout (${before.phase}: ${before.reason}): roll it back or let it end`,
          Code.FailedPrecondition,
        );
      const after = await writeRollout(store, name, {
        before,
        after: begin(rollout, route.route as InferenceRoute, new Date()),
        route,
        action: "rollout-start",
        author: by,
      });
      return { progress: rollouts.progress(name, after) };
    },
    pauseRollout: ({ name, reason, etag }) => run(name, { kind: "pause" }, reason, etag),
    resumeRollout: ({ name, reason, etag }) => run(name, { kind: "resume" }, reason, etag),
    promoteRollout: ({ name, reason, etag, full }) =>
      run(name, { kind: "promote", full }, reason, etag),
    // A rollback is never rejected for a long reason: the reason is cut and marked with an ellipsis.
    rollbackRollout: ({ name, reason }) =>
      run(
        name,
        { kind: "rollback" },
        reason.length > maxReasonLength ? `${reason.slice(0, maxReasonLength - 1)}…` : reason,
      ),

    async getRollout({ name: word }) {
      const { name, state } = await stored(word);
      return { progress: rollouts.progress(name, state) };
    },
    async listRollouts({ namespace }) {
      const states = await store.listRollouts();
      return {
        rollouts: states
          .filter(
            (state) => namespace === "" || routeName(state.rollout).startsWith(`${namespace}/`),
          )
          .map((state) => rollouts.progress(routeName(state.rollout), state)),
      };
    },

    async *watchRollout({ name: word }, { signal }) {
      const wanted = word === "" ? undefined : await fullName(word);
      // Reject callers who may not see it now: the stream would never send them anything.
      if (wanted !== undefined) await store.getRollout(wanted);
      const sees = principalSeesRoute();
      const changed = new Set<string>();
      let wake = () => {};
      const note = (name: string) => {
        if (wanted !== undefined && wanted !== name) return;
        changed.add(name);
        wake();
      };
      const aborted = () => wake();
      const stopStore = new AbortController();
      const stop = rollouts.onProgress(note);
      try {
        signal.addEventListener("abort", aborted);
        const { sequence } = await store.list();
        void (async () => {
          for await (const { state } of store.watchRollouts(sequence, stopStore.signal))
            note(routeName(state.rollout));
        })().catch(() => {
          // The store went away: what follows is only what this process does itself.
        });
        for (const state of await store.listRollouts()) note(routeName(state.rollout));
        while (!signal.aborted) {
          for (const name of [...changed]) {
            changed.delete(name);
            const state = sees(name) ? await store.getRollout(name) : undefined;
            if (state) yield { progress: rollouts.progress(name, state) };
          }
          if (changed.size > 0 || signal.aborted) continue;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        stop();
        stopStore.abort();
        signal.removeEventListener("abort", aborted);
      }
    },
  };
}
