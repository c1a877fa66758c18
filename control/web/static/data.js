import { useEffect, useReducer, useState } from "preact/hooks";
import { call, watch } from "./api.js";
import { noteOutcome } from "./outcome.js";

const retryMs = 1000;
/** Streamed messages are shown together, at most this often. */
const batchMs = 50;

/** "namespace/name" of a route's state. */
export function routeName({ route }) {
  const { namespace, name } = route.metadata;
  return `${namespace || "default"}/${name}`;
}

/**
 * All routes by name, followed as they change. While the server is away the
 * last ones stay, `error` says why, and the stream is opened again.
 */
export function useRoutes() {
  const [state, dispatch] = useReducer(follow, { loading: true, routes: new Map() });
  useEffect(() => {
    const controller = new AbortController();
    let batch = [];
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
        } catch (error) {
          if (controller.signal.aborted) return;
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

function follow(state, { opened, messages, error }) {
  if (error) return { ...state, loading: false, error };
  // A new stream tells every route again: what it does not name is gone.
  if (opened) return { ...state, fresh: new Map() };
  const routes = new Map(state.fresh ?? state.routes);
  for (const { event, state: route } of messages) {
    if (!route?.route) continue;
    if (event === "delete") routes.delete(routeName(route));
    else routes.set(routeName(route), route);
  }
  return { loading: false, routes };
}

/**
 * Asks a method again and again and gives its last good answer; nothing is
 * asked while `method` is empty. A hidden page asks a tenth as often.
 */
export function usePolled(method, request = {}, intervalMs = 2000) {
  const [state, setState] = useState({ loading: true });
  const key = JSON.stringify(request);
  useEffect(() => {
    if (!method) return;
    let stopped = false;
    let timer;
    setState({ loading: true });
    async function refresh() {
      try {
        const answer = await call(method, JSON.parse(key));
        noteOutcome();
        if (!stopped) setState({ answer });
      } catch (error) {
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

/** The newest message of a stream about one route, which is opened again when it ends. */
export function useWatched(method, name) {
  const [state, setState] = useState({ loading: true });
  useEffect(() => {
    const controller = new AbortController();
    setState({ loading: true });
    async function run() {
      while (!controller.signal.aborted) {
        const quiet = setTimeout(() => setState((last) => ({ ...last, loading: false })), 300);
        try {
          await watch(method, { name }, controller.signal, (message) => setState({ message }));
        } catch (error) {
          if (controller.signal.aborted) return;
          setState((last) => ({ ...last, loading: false, error }));
        }
        clearTimeout(quiet);
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
    run();
    return () => controller.abort();
  }, [method, name]);
  return state;
}
