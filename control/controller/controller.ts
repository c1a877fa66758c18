import { setMaxListeners } from "node:events";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { RenderOptions } from "../istio/index.ts";
import { type KubeClient, pause } from "../kube/index.ts";
import type { Leader } from "../leader/index.ts";
import { routeName } from "../route/index.ts";
import type { KubeStore } from "../store/index.ts";
import { errorText } from "../text/error-text.ts";
import type { DriftPolicy } from "./apply.ts";
import { eachOf } from "./concurrently.ts";
import { filterRevisions, instanceLabel, type Wanted, wanted } from "./desired.ts";
import { createSurroundings } from "./foreign-objects.ts";
import { createManaged } from "./managed.ts";
import type { RouteMeta } from "./meta.ts";
import { type PassContext, type PassResult, runPass } from "./pass.ts";
import { createRouteMetas, finalizer } from "./routes.ts";
import { statusOf } from "./status.ts";
import { createUnresolved } from "./unresolved.ts";

/** What the controller works with. */
export interface ControllerOptions {
  client: KubeClient;
  store: KubeStore;
  /** Whether this replica leads; only the leader changes the cluster. */
  leader: Pick<Leader, "current" | "onChange">;
  /** How routes become objects. */
  render: RenderOptions;
  /** Distinguishes the objects of this control service from those of others in the same cluster. */
  instance: string;
  /** What to do with edits by others of these objects. */
  drift: DriftPolicy;
  /** Deletes what was applied for routes even while the store is new. Absent: false. */
  acceptEmpty?: boolean;
  /** How many proxies report one of the known revisions, and how many the current one. */
  proxies?: (current: string, known: ReadonlySet<string>) => { wanted: number; applied: number };
  /** Milliseconds after which objects that are no longer wanted are deleted. Absent: 3,000. */
  settleMs?: number;
  log: (line: string, code?: string) => void;
  /** The wall clock, for times in conditions. Absent: the system's. */
  now?: () => Date;
}

/** Keeps the objects of all routes in a cluster up to date, until it is closed. */
export interface Controller {
  /** Number of passes done; for tests and metrics. */
  passes(): number;
  /** Number of times that any route was held against what is around it; likewise. */
  looks(): number;
  /** What the filters of each route should report, as of the last pass. */
  filters: {
    of(
      name: string,
    ): { etag: string; revision: string; revisions: ReadonlySet<string> } | undefined;
    knows(revision: string): boolean;
  };
  /** Looks at everything again soon. */
  poke(): void;
  /** The same within a second: proxies report by the hundred. */
  pokeLater(): void;
  /** Stops, and waits up to 2 seconds for the pass that is under way. */
  close(): Promise<void>;
}

const debounceMs = 20;
const retryMs = 1_000;
const laterMs = 1_000;
/** Everything is checked again after this time, in case an event was missed. */
const resyncMs = 60_000;
/** What proves the proxies' reports is another one from time to time, though no route changed. */
const renderAgainMs = 600_000;
const settleMs = 3_000;
const maxRevisions = 50;

/** Keeps what Weir renders in the cluster as it is stored, while this replica leads. */
export function createController(options: ControllerOptions): Controller {
  const { client, store, leader, instance, log, now = () => new Date() } = options;
  const stop = new AbortController();
  // One for each kind that is followed and each pause: more than Node expects.
  setMaxListeners(0, stop.signal);
  let wake = () => {};
  let asked = false;
  let passes = 0;
  /** The newest rendering: most passes are about something else than the routes. */
  let rendered: { sequence: bigint; want: Wanted; atMs: number } | undefined;
  const poke = () => {
    asked = true;
    wake();
  };
  let later: NodeJS.Timeout | undefined;
  const pokeLater = () => {
    later ??= setTimeout(() => {
      later = undefined;
      poke();
    }, laterMs);
  };
  const managed = createManaged(client, `${instanceLabel}=${instance}`, poke, stop.signal, log);
  const metas = createRouteMetas(client, poke, stop.signal, log);
  const around = createSurroundings(client, instance, pokeLater, stop.signal, log);
  const unresolved = createUnresolved();
  const history = new Map<string, Set<string>>();
  const leads = () => leader.current() !== undefined && !stop.signal.aborted;
  const context: PassContext = {
    client,
    managed,
    policy: options.drift,
    settleMs: options.settleMs ?? settleMs,
    due: new Map(),
    keeps: false,
    nowMs: () => performance.now(),
    leads,
  };
  const stopListening = leader.onChange(poke);
  store.onRefused(poke);

  async function followStore(): Promise<void> {
    const { sequence } = await store.list();
    poke();
    for await (const _ of store.watch(sequence, stop.signal)) poke();
  }

  async function run(): Promise<void> {
    await Promise.all([managed.ready, metas.ready, around.ready]);
    let waitMs: number | undefined = 0;
    while (!stop.signal.aborted) {
      await untilPoked(waitMs ?? resyncMs);
      await pause(debounceMs, stop.signal);
      asked = false;
      waitMs = undefined;
      if (!leads()) continue;
      try {
        waitMs = await pass();
      } catch (error) {
        if (stop.signal.aborted) return;
        log(
          `could not apply the routes to the cluster, retrying in ${retryMs / 1000} s: ${errorText(error)}`,
          "reconcile-failed",
        );
        waitMs = retryMs;
      }
    }
  }

  function untilPoked(ms: number): Promise<void> {
    if (asked || ms <= 0 || stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** A store that was never written to does not mean that all objects should be deleted. */
  function keepWhileNew(sequence: bigint): void {
    const before = context.keeps;
    context.keeps = sequence === 0n && !options.acceptEmpty;
    const count = [...managed.all()].length;
    if (context.keeps && !before && count > 0)
      log(
        `the store is new and empty: ${count} objects in the cluster are kept until a route is applied; start with --accept-empty to delete them`,
        "hold-empty",
      );
  }

  /** @returns milliseconds until there is more to do, undefined when there is nothing */
  async function pass(): Promise<number | undefined> {
    const { routes, sequence } = await store.list();
    keepWhileNew(sequence);
    // Before anything is made for a route, so that nothing is left behind.
    await eachOf(metas.all().values(), async (meta) => {
      if (!meta.deleting && !meta.finalizers.includes(finalizer) && leads())
        await metas.setFinalizer(meta, true);
    });
    const atMs = context.nowMs();
    if (rendered?.sequence !== sequence || atMs - rendered.atMs > renderAgainMs)
      rendered = { sequence, want: wanted(routes, options.render, instance), atMs };
    const { want } = rendered;
    const result = await runPass(context, want);
    await eachOf(metas.all().values(), async (meta) => {
      if (!meta.deleting || !meta.finalizers.includes(finalizer)) return;
      const busy = [...managed.all()].some(([, live]) => live.routes.includes(meta.name));
      if (!busy && leads()) await metas.setFinalizer(meta, false);
    });
    await writeStatuses(routes, want, result);
    passes++;
    if (result.trouble !== undefined) {
      log(
        `some objects could not be applied, retrying in ${retryMs / 1000} s: ${result.trouble}`,
        "reconcile-failed",
      );
      return retryMs;
    }
    return result.nextMs === undefined ? undefined : Math.max(1, result.nextMs - context.nowMs());
  }

  let current = new Map<
    string,
    { etag: string; revision: string; revisions: ReadonlySet<string> }
  >();

  /** Revisions of a route since this process leads: who reports one of them runs its filters. */
  function known(name: string, revision: string): ReadonlySet<string> {
    const set = history.get(name) ?? new Set();
    history.set(name, set);
    set.add(revision);
    for (const oldest of set) {
      if (set.size <= maxRevisions) break;
      set.delete(oldest);
    }
    return set;
  }

  async function writeStatuses(
    routes: readonly RouteState[],
    want: Wanted,
    result: PassResult,
  ): Promise<void> {
    const stored = new Map(
      routes.flatMap((state) => (state.route ? [[routeName(state.route), state] as const] : [])),
    );
    const revisions = filterRevisions(want);
    current = new Map(
      [...revisions].map(([name, revision]) => [
        name,
        { etag: stored.get(name)?.etag ?? "", revision, revisions: known(name, revision) },
      ]),
    );
    const missing = unresolved.of(routes, around.now());
    const findings = (meta: RouteMeta) => {
      const { name } = meta;
      const filterRevision = revisions.get(name) ?? "";
      const unrendered = (want.problems.get(name) ?? []).map(({ path, message }) => ({
        reason: "Refused" as const,
        message: `${path}: ${message}`,
      }));
      return {
        etag: stored.get(name)?.etag,
        refused: store.refused().get(name) ?? [],
        problems: [...unrendered, ...(result.problems.get(name) ?? [])],
        unresolved: missing.get(name) ?? [],
        trouble: result.trouble,
        corrected: result.corrected.get(name) ?? [],
        filterRevision,
        proxies:
          filterRevision === ""
            ? undefined
            : options.proxies?.(filterRevision, known(name, filterRevision)),
      };
    };
    await eachOf(metas.all().values(), async (meta) => {
      if (meta.deleting || !leads()) return;
      const status = statusOf(meta, findings(meta), now());
      if (status !== undefined) await metas.writeStatus(meta, status);
    });
  }

  const running = run();
  const following = followStore().catch((error: unknown) =>
    log(`cannot follow the store: ${errorText(error)}`, "reconcile-failed"),
  );
  return {
    passes: () => passes,
    looks: unresolved.looks,
    filters: {
      of: (name) => current.get(name),
      knows: (revision) => [...history.values()].some((revisions) => revisions.has(revision)),
    },
    poke,
    pokeLater,
    async close() {
      stop.abort();
      clearTimeout(later);
      stopListening();
      wake();
      await Promise.race([
        Promise.all([running, following]),
        pause(2_000, new AbortController().signal),
      ]);
    },
  };
}
