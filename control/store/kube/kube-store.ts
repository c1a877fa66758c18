import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import {
  follow,
  isTransient,
  type KubeClient,
  KubeError,
  type KubeObject,
  pause,
} from "../../kube/index.ts";
import type { Problem } from "../../route/index.ts";
import { createBroadcast } from "../broadcast.ts";
import { deleteChange, eventOf, putChange, type Change as StoreChange } from "../change.ts";
import {
  NotStoredError,
  type RouteEvent,
  StaleEtagError,
  type Store,
  StoreRefusedError,
  StoreUnavailableError,
} from "../store.ts";
import { createChangeLog } from "./change-log.ts";
import { allRoutesPath, changesPath, routePath } from "./names.ts";
import { readRouteObject } from "./route-object.ts";
import { createSerial } from "./serial.ts";
import { isSettled, project, type Settling, settle, writeState } from "./settle.ts";

export interface KubeStoreOptions {
  client: KubeClient;
  /** Namespace of the changes: the control service's own. */
  namespace: string;
  log?: (line: string) => void;
  now?: () => Date;
}

/** A store in a Kubernetes API server, where others may write too. */
export interface KubeStore extends Store {
  /** Specs in the cluster that were not taken over, and why; by "namespace/name". */
  refused(): ReadonlyMap<string, Problem[]>;
  /** Calls back when the above changed. */
  onRefused(listener: (name: string) => void): void;
}

/** A write goes on this long while the API server is away. */
const patienceMs = 8_000;
/** Another replica's change that is not in its object after this is brought there. */
const graceMs = 3_000;

/**
 * Routes as InferenceRoute objects, their changes as RouteChange objects.
 * Several control services may run on one cluster: making the next RouteChange
 * is what decides. Edits by others become changes; specs that Weir refuses are
 * not taken over, the last good one stays in force.
 */
export function createKubeStore(options: KubeStoreOptions): KubeStore {
  const { client, namespace, log: say = () => {}, now = () => new Date() } = options;
  const states = new Map<string, RouteState>();
  const problems = new Map<string, Problem[]>();
  const listeners: ((name: string) => void)[] = [];
  const broadcast = createBroadcast();
  const stop = new AbortController();
  const alone = createSerial();
  let live = false;

  const log = createChangeLog(client, namespace, (entry) => {
    if (entry.after) states.set(entry.name, entry.after);
    else states.delete(entry.name);
    const event = eventOf(entry);
    if (live && event) broadcast.send(event);
  });
  const settling: Settling = {
    client,
    log,
    states,
    now,
    refused(name, found) {
      if (found.length === 0 && !problems.has(name)) return;
      if (found.length > 0) problems.set(name, found);
      else problems.delete(name);
      for (const listener of listeners) listener(name);
    },
    later(name) {
      void pause(graceMs, stop.signal).then(() => {
        if (stop.signal.aborted) return;
        const { sequence = 0n, applied = true } = log.newestOf(name) ?? {};
        if (!applied && sequence > 0n) inBackground(name, () => finish(name));
      });
    },
  };

  /** Brings a pending change into its object, whoever made it. */
  async function finish(name: string): Promise<void> {
    const read = await client.get(routePath(name));
    if (!(await project(settling, name, read))) await settle(settling, name);
  }

  function inBackground(name: string, work: () => Promise<void>): void {
    alone(name, work).catch((error: unknown) => {
      if (stop.signal.aborted) return;
      say(`${name}: ${error instanceof Error ? error.message : error}`);
      if (isTransient(error)) settling.later(name);
    });
  }

  function look(object: KubeObject): void {
    const read = readRouteObject(object);
    if (isSettled(log, read)) settling.refused(read.name, []);
    else inBackground(read.name, () => settle(settling, read.name));
  }

  const ready = start();
  ready.catch(() => {});

  async function start(): Promise<void> {
    await probe();
    await new Promise<void>((resolve) => {
      void followKind("changes", changesPath(namespace), {
        replace: (objects) => {
          log.takeAll(objects);
          resolve();
        },
        changed: (type, object) => (type === "DELETED" ? log.forget(object) : log.take(object)),
      });
      stop.signal.addEventListener("abort", () => resolve());
    });
    live = true;
    const settled = new Promise<void>((resolve) => {
      void followKind("routes", allRoutesPath, {
        replace: (objects) => {
          const there = new Set<string>();
          for (const object of objects) {
            there.add(`${object.metadata.namespace}/${object.metadata.name}`);
            look(object);
          }
          for (const name of log.names())
            if (!there.has(name)) inBackground(name, () => settle(settling, name));
          // What was edited while no one looked is part of the start.
          void Promise.all(
            log
              .names()
              .concat([...there])
              .map((name) => alone(name, async () => {})),
          ).then(() => resolve());
        },
        changed: (type, object) => {
          if (type === "DELETED") {
            const name = `${object.metadata.namespace}/${object.metadata.name}`;
            inBackground(name, () => settle(settling, name));
          } else look(object);
        },
      });
      stop.signal.addEventListener("abort", () => resolve());
    });
    await settled;
  }

  /** What waiting does not cure is told at once: resources not installed, not allowed. */
  async function probe(): Promise<void> {
    const until = Date.now() + patienceMs;
    for (const path of [changesPath(namespace), allRoutesPath])
      for (;;) {
        try {
          if ((await client.get(`${path}?limit=1`)) !== undefined) break;
          throw new StoreUnavailableError(
            `the cluster does not know ${path}: install Weir's custom resources first (kubectl apply -f istio/base/crds.yaml)`,
          );
        } catch (error) {
          if (stop.signal.aborted) return;
          if (!isTransient(error) || Date.now() > until)
            throw new StoreUnavailableError(error instanceof Error ? error.message : String(error));
          await pause(500, stop.signal);
        }
      }
  }

  function followKind(
    what: string,
    path: string,
    on: {
      replace(objects: KubeObject[]): void;
      changed(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void;
    },
  ): Promise<void> {
    let trouble: string | undefined;
    return follow(
      client,
      path,
      "",
      {
        ...on,
        trouble(reason) {
          if (reason !== undefined && trouble === undefined)
            say(`cannot follow the ${what}: ${reason}`);
          if (reason === undefined && trouble !== undefined) say(`following the ${what} again`);
          trouble = reason;
        },
      },
      stop.signal,
    );
  }

  async function usable(): Promise<void> {
    if (stop.signal.aborted) throw new StoreUnavailableError("the store is closed");
    await ready;
    if (stop.signal.aborted) throw new StoreUnavailableError("the store is closed");
  }

  /** Decides on a change until it is in the log, then brings it into the object. */
  async function write(
    name: string,
    make: (stored: RouteState | undefined, sequence: bigint) => StoreChange,
  ): Promise<StoreChange> {
    await usable();
    return alone(name, () =>
      translated(name, async () => {
        for (;;) {
          await settle(settling, name);
          const object = await client.get(routePath(name));
          const change = make(states.get(name), log.newest() + 1n);
          if (object?.metadata.deletionTimestamp !== undefined && change.state)
            throw new StoreUnavailableError(`${name} is still being deleted: try again shortly`);
          if (change.state && !(await check(name, change.state, object))) continue;
          if (!(await log.append(change.entry))) {
            await log.catchUp();
            continue;
          }
          await persist(name, object);
          return change;
        }
      }),
    );
  }

  /** The API server's own opinion, before the change is in the log. False: the object changed. */
  async function check(
    name: string,
    state: RouteState,
    object: KubeObject | undefined,
  ): Promise<boolean> {
    try {
      await writeState(client, name, state, object && readRouteObject(object), true);
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.status === 409) return false;
      throw error;
    }
  }

  /** The change has happened: an API server that goes away now only delays it. */
  async function persist(name: string, object: KubeObject | undefined): Promise<void> {
    const until = Date.now() + patienceMs;
    for (let first = true; ; first = false) {
      try {
        const read = first ? object : await client.get(routePath(name));
        if (!(await project(settling, name, read))) await finish(name);
        return;
      } catch (error) {
        if (!isTransient(error) || Date.now() > until || stop.signal.aborted) {
          settling.later(name);
          throw error;
        }
        await pause(200, stop.signal);
      }
    }
  }

  return {
    async get(name) {
      await usable();
      return states.get(name);
    },
    async list() {
      await usable();
      const sorted = [...states].sort(([a], [b]) => (a < b ? -1 : 1));
      return { routes: sorted.map(([, state]) => state), sequence: log.newest() };
    },
    async put(name, draft, etag, action, author) {
      const change = await write(name, (stored, sequence) =>
        putChange(name, draft, etag, stored, sequence, action, author, now()),
      );
      return change.state as RouteState;
    },
    async delete(name, etag, author) {
      const change = await write(name, (stored, sequence) =>
        deleteChange(name, etag, stored, sequence, author, now()),
      );
      return change.entry.before as RouteState;
    },
    async audit(name, limit) {
      await usable();
      const numbers = (name === "" ? log.after(0n) : log.of(name)).slice(-limit).reverse();
      const entries = await translated(name, () => Promise.all(numbers.map(log.read)));
      return entries.flatMap((entry) => entry ?? []);
    },
    watch(after, signal) {
      // Registered now, so that nothing written before the first read is lost.
      const coming = broadcast.watch([], signal);
      return (async function* (): AsyncIterable<RouteEvent> {
        await usable();
        const until = log.newest();
        for (const number of log.after(after)) {
          if (signal.aborted) return;
          const entry = number <= until ? await log.read(number) : undefined;
          const event = entry && eventOf(entry);
          if (event) yield event;
        }
        for await (const event of coming)
          if (event.sequence > until && event.sequence > after) yield event;
      })();
    },
    refused: () => problems,
    onRefused: (listener) => listeners.push(listener),
    async close() {
      if (stop.signal.aborted) return;
      stop.abort();
      broadcast.close();
      client.close();
    },
  };
}

/** What went wrong, in the words of a store. */
async function translated<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (
      error instanceof StaleEtagError ||
      error instanceof NotStoredError ||
      error instanceof StoreUnavailableError
    )
      throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof KubeError && !isTransient(error))
      throw new StoreRefusedError(`the cluster refuses ${name || "the request"}: ${message}`);
    throw new StoreUnavailableError(message);
  }
}
