import { useEffect, useReducer, useState } from "preact/hooks";
import { call, watch } from "./api.js";
import { failureOf, noteOutcome } from "./outcome.js";

/** @import { AnswerOf, Method, RequestOf, RouteState } from "../answers.ts" */
/** @import { Failure } from "./outcome.js" */

const retryMs = 1000;
/** Streamed messages are shown together, at most this often. */
const batchMs = 50;

/** "namespace/name" of a route. @param {Pick<RouteState["route"], "metadata">} route */
export function routeName({ metadata }) {
  const { namespace, name } = metadata;
  return `${namespace || "default"}/${name}`;
}

/**
 * All routes by name, followed as they change. While the server is away the
 * last ones stay, `error` says why, and the stream is opened again.
 */
export function useRoutes() {
  /** @type {Routes} */
  const initial = { loading: true, routes: new Map() };
  const [state, dispatch] = useReducer(follow, initial);
  useEffect(() => {
    const controller = new AbortController();
    /** @type {AnswerOf<"RouteService/WatchRoute">[]} */
    let batch = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let known = false;
    const flush = () => {
      dispatch({ messages: batch });
      batch = [];
      timer = undefined;
    };
    async function run() {
      while (!controller.signal.aborted) {
        dispatch({ opened: true });
        // A service without routes says nothing; one that was away may only be slow to begin.
        const quiet = setTimeout(() => dispatch({ messages: [] }), known ? 5000 : 300);
        try {
          await watch("RouteService/WatchRoute", {}, controller.signal, (message) => {
            noteOutcome();
            clearTimeout(quiet);
            known = true;
            batch.push(message);
            timer ??= setTimeout(flush, batchMs);
          });
        } catch (caught) {
          if (controller.signal.aborted) return;
          const error = failureOf(caught);
          noteOutcome(error);
          dispatch({ error });
        }
        clearTimeout(quiet);
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
    run();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, []);
  return state;
}

/**
 * @typedef {object} Routes
 * @property {boolean} loading
 * @property {ReadonlyMap<string, RouteState>} routes
 * @property {ReadonlyMap<string, RouteState>} [fresh] told by a stream that has just been opened
 * @property {Failure} [error]
 *
 * @param {Routes} state
 * @param {{ opened?: true, messages?: AnswerOf<"RouteService/WatchRoute">[], error?: Failure }} event
 * @returns {Routes}
 */
function follow(state, { opened, messages = [], error }) {
  if (error) return { ...state, loading: false, error };
  // A new stream tells every route again: what it does not name is gone.
  if (opened) return { ...state, fresh: new Map() };
  const routes = new Map(state.fresh ?? state.routes);
  for (const { event, state: route } of messages) {
    if (!route?.route) continue;
    if (event === "delete") routes.delete(routeName(route.route));
    else routes.set(routeName(route.route), route);
  }
  return { loading: false, routes };
}

/**
 * Asks a method again and again and gives its last good answer; nothing is
 * asked while `method` is empty. A hidden page asks a tenth as often.
 * @template {Method} Called
 * @param {Called | ""} method
 * @param {RequestOf<Called>} request
 * @param {number} intervalMs
 */
export function usePolled(method, request, intervalMs) {
  /** @typedef {{ loading?: boolean, answer?: AnswerOf<Called>, error?: Failure }} Polled */
  const [state, setState] = useState(/** @type {Polled} */ ({ loading: true }));
  const key = JSON.stringify(request);
  useEffect(() => {
    if (!method) return;
    let stopped = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    setState({ loading: true });
    const called = method;
    async function refresh() {
      try {
        const answer = await call(called, JSON.parse(key));
        noteOutcome();
        if (!stopped) setState({ answer });
      } catch (caught) {
        const error = failureOf(caught);
        noteOutcome(error);
        if (!stopped) setState((last) => ({ ...last, loading: false, error }));
      }
      if (!stopped) timer = setTimeout(refresh, document.hidden ? intervalMs * 10 : intervalMs);
    }
    refresh();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [method, key, intervalMs]);
  return state;
}

/**
 * The newest message of the stream about a route's rollout, which is opened again when it ends.
 * @param {string} name
 */
export function useRollout(name) {
  /** @typedef {{ loading?: boolean, message?: AnswerOf<"RolloutService/WatchRollout">, error?: Failure }} Watched */
  const [state, setState] = useState(/** @type {Watched} */ ({ loading: true }));
  useEffect(() => {
    const controller = new AbortController();
    setState({ loading: true });
    async function run() {
      while (!controller.signal.aborted) {
        const quiet = setTimeout(() => setState((last) => ({ ...last, loading: false })), 300);
        try {
          await watch("RolloutService/WatchRollout", { name }, controller.signal, (message) =>
            setState({ message }),
          );
        } catch (caught) {
          if (controller.signal.aborted) return;
          const error = failureOf(caught);
          setState((last) => ({ ...last, loading: false, error }));
        }
        clearTimeout(quiet);
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
    run();
    return () => controller.abort();
  }, [name]);
  return state;
}
