import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { draftRoute, routeName } from "../route/index.ts";
import { NotStoredError, StaleEtagError, type Store } from "../store/index.ts";
import { errorText } from "../text/error-text.ts";

/** Ends drills whose time is over. */
export interface DrillExpiry {
  close(): void;
}

/** Timers cannot wait longer; they look again. */
const longestMs = 2 ** 31 - 1;
const retryMs = 1_000;

/**
 * Removes a route's fault at its `until`, whoever set it; at once where that time passed while no
 * control service ran. Several replicas may do so: the first write wins and the others find nothing
 * left.
 */
export function expireDrills(
  store: Pick<Store, "list" | "watch" | "put">,
  log: (line: string, code?: string) => void,
  nowMs: () => number = Date.now,
): DrillExpiry {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    clearTimeout(timer);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const state of (await store.list()).routes) {
      const until = state.route?.spec?.fault?.until;
      if (until === undefined) continue;
      const leftMs = timestampMs(until) - nowMs();
      if (leftMs <= 0) await end(store, state);
      else nextMs = Math.min(nextMs, leftMs);
    }
    if (stop.signal.aborted || nextMs === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(again, Math.min(nextMs, longestMs));
  }

  /** A store that cannot be written now is tried again: a fault must not outlive its time for that. */
  function again(): void {
    look().catch((error: unknown) => {
      if (stop.signal.aborted) return;
      log(
        `could not remove the fault of a drill whose time is over: ${errorText(error)}`,
        "drill-stuck",
      );
      timer = setTimeout(again, retryMs);
    });
  }

  void (async () => {
    const { sequence } = await store.list();
    again();
    for await (const { event, state } of store.watch(sequence, stop.signal))
      if (event === "put" && state.route?.spec?.fault?.until) again();
  })().catch((error: unknown) =>
    log(`cannot end drills whose time is over: ${error}`, "drill-stuck"),
  );

  return {
    close() {
      stop.abort();
      clearTimeout(timer);
    },
  };
}

async function end(store: Pick<Store, "put">, state: RouteState): Promise<void> {
  if (!state.route?.spec) return;
  const { fault: _, ...spec } = state.route.spec;
  const draft = draftRoute({ ...state.route, spec }, state);
  const author = { principal: "weir", reason: "the time of the drill is over" };
  try {
    await store.put(routeName(state.route), draft, state.etag, "drill-end", author);
  } catch (error) {
    // Someone else ended it or changed the route: the watch delivers the new state.
    if (!(error instanceof StaleEtagError || error instanceof NotStoredError)) throw error;
  }
}
