import { setMaxListeners } from "node:events";
import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../../gen/weir/v1/service_pb.ts";
import { isTransient, type KubeClient, type KubeObject, pause } from "../../kube/index.ts";
import type { Problem } from "../../route/index.ts";
import { errorText } from "../../text/error-text.ts";
import { createBroadcast } from "../broadcast.ts";
import {
  type Change,
  eventName,
  eventOf,
  rolloutEventName,
  rolloutEventOf,
  type Stored,
} from "../change.ts";
import { type Store, StoreUnavailableError } from "../store.ts";
import { createWrites } from "../writes.ts";
import { createChangeLog } from "./change-log.ts";
import { attend, probe } from "./follow-kind.ts";
import { LossError } from "./loss.ts";
import { allRoutesPath, changesPath } from "./names.ts";
import { createSerial } from "./per-key-queue.ts";
import { restoreContents } from "./restore.ts";
import { readAnyObject } from "./route-object.ts";
import { isSettled, type Settling, settle } from "./settle.ts";
import { translated } from "./translate.ts";
import { finish, writeChange } from "./write.ts";

/** What a store in Kubernetes works with. */
export interface KubeStoreOptions {
  client: KubeClient;
  /** Namespace of the changes: the control service's own. */
  namespace: string;
  /**
   * Takes routes that are not in the cluster for deleted, even where their whole kind is missing.
   * Absent: false.
   */
  acceptEmpty?: boolean | undefined;
  /** Is called with what the store cannot follow. Absent: nobody is. */
  log?: ((line: string) => void) | undefined;
  /** The wall clock, for times of changes. Absent: the system's. */
  now?: () => Date;
}

/** A store in a Kubernetes API server, where others may write too. */
export interface KubeStore extends Store {
  /** Specs in the cluster that were not taken over, and why; by "namespace/name". */
  refused(): ReadonlyMap<string, Problem[]>;
  /** Calls back when the above changed. */
  onRefused(listener: (name: string) => void): void;
}

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
  const { acceptEmpty = false } = options;
  const states = new Map<string, RouteState>();
  const rollouts = new Map<string, RolloutState>();
  const problems = new Map<string, Problem[]>();
  const listeners: ((name: string) => void)[] = [];
  const routeEvents = createBroadcast({ nameOf: eventName });
  const rolloutEvents = createBroadcast({ nameOf: rolloutEventName });
  const stop = new AbortController();
  // One for each kind that is followed and each pause: more than Node expects.
  setMaxListeners(0, stop.signal);
  const alone = createSerial();
  /** What is read at the start is no event. */
  let live = false;
  /** The kind went from the cluster, and with it all routes. */
  let kindGone = false;
  /** Since when what is followed cannot be. */
  const lostSince = new Map<string, Date>();

  const log = createChangeLog(
    client,
    namespace,
    (entry) => {
      if (entry.after) states.set(entry.name, entry.after);
      else if (entry.before) states.delete(entry.name);
      if (entry.rolloutAfter) rollouts.set(entry.name, entry.rolloutAfter);
      if (!live) return;
      const event = eventOf(entry);
      if (event) routeEvents.send(event);
      const rolloutEvent = rolloutEventOf(entry);
      if (rolloutEvent) rolloutEvents.send(rolloutEvent);
    },
    say,
  );

  const settling: Settling = {
    client,
    log,
    states,
    acceptEmpty,
    now,
    refused(name, found) {
      if (found.length === 0 && !problems.has(name)) return;
      if (found.length > 0) problems.set(name, found);
      else problems.delete(name);
      for (const listener of listeners) listener(name);
    },
    later(name) {
      void pause(graceMs, stop.signal).then(() => {
        if (stop.signal.aborted || (log.newestOf(name)?.applied ?? true)) return;
        inBackground(name, () => finish(settling, name));
      });
    },
  };

  function inBackground(name: string, work: () => Promise<void>): void {
    alone(name, work).catch((error: unknown) => {
      if (stop.signal.aborted) return;
      say(`${name}: ${errorText(error)}`);
      if (error instanceof LossError) kindGone ||= error.kind;
      if (isTransient(error) || (error instanceof LossError && !error.kind))
        void pause(graceMs, stop.signal).then(() => {
          if (!stop.signal.aborted) inBackground(name, work);
        });
    });
  }

  const look = (name: string) => inBackground(name, () => settle(settling, name));

  function lookAt(object: KubeObject): string {
    const read = readAnyObject(object);
    if ("message" in read) {
      settling.refused(read.name, [{ code: "unreadable", path: "", message: read.message }]);
      return read.name;
    }
    if (isSettled(log, read)) settling.refused(read.name, []);
    else look(read.name);
    return read.name;
  }

  const ready = start();
  // Users of the store get the error; without users it is no reason to end the process.
  ready.catch(() => {});

  async function start(): Promise<void> {
    await probe(client, namespace, stop.signal);
    const trouble = (path: string) => (reason: string | undefined) => {
      if (reason === undefined) lostSince.delete(path);
      else if (!lostSince.has(path)) lostSince.set(path, now());
    };
    const changes = {
      trouble: trouble("changes"),
      replace: log.takeAll,
      changed: (type: string, object: KubeObject) =>
        type === "DELETED" ? log.forget(object) : log.take(object),
    };
    await attend(client, changesPath(namespace), changes, stop.signal, say);
    live = true;
    let there = new Set<string>();
    const routes = {
      trouble: trouble("routes"),
      replace(objects: KubeObject[]) {
        there = new Set(objects.map(lookAt));
        const missing = log.names().filter((name) => !there.has(name));
        const known = [...states.keys()];
        // All at once is no one's wish: they are brought back as they are known.
        const lost = !acceptEmpty && (kindGone || known.every((name) => !there.has(name)));
        if (lost && known.length > 0)
          say(`${missing.length} routes disappeared from the cluster at once: writing them again`);
        kindGone = false;
        for (const name of missing)
          if (lost && states.has(name)) inBackground(name, () => finish(settling, name));
          else look(name);
      },
      changed(type: string, object: KubeObject) {
        if (type === "DELETED") look(`${object.metadata.namespace}/${object.metadata.name}`);
        else lookAt(object);
      },
    };
    await attend(client, allRoutesPath, routes, stop.signal, say);
    // What was edited while no one looked is part of the start.
    await Promise.all([...there, ...log.names()].map((name) => alone(name, async () => {})));
  }

  async function usable(): Promise<void> {
    await ready;
    if (stop.signal.aborted) throw new StoreUnavailableError("the store is closed");
  }

  async function write(
    name: string,
    make: (stored: Stored, sequence: bigint) => Change,
  ): Promise<Change> {
    await usable();
    const decide = () => {
      const stored = { route: states.get(name), rollout: rollouts.get(name), fence: log.fence() };
      return make(stored, log.newest() + 1n);
    };
    return alone(name, () =>
      translated(name, () => writeChange(settling, name, decide, stop.signal)),
    );
  }

  /** What the log has after a number, then what comes. */
  async function* replayed<Event extends { sequence: bigint }>(
    after: bigint,
    coming: AsyncIterable<Event>,
    read: (entry: AuditEntry) => Event | undefined,
  ): AsyncIterable<Event> {
    await usable();
    const until = log.newest();
    for (const number of log.after(after)) {
      const entry = number <= until ? await log.read(number) : undefined;
      const event = entry && read(entry);
      if (event) yield event;
    }
    for await (const event of coming)
      if (event.sequence > until && event.sequence > after) yield event;
  }

  return {
    async get(name) {
      await usable();
      return states.get(name);
    },
    async list() {
      await usable();
      return { routes: sorted(states), sequence: log.newest() };
    },
    ...createWrites(write, now),
    async getRollout(name) {
      await usable();
      return rollouts.get(name);
    },
    async listRollouts() {
      await usable();
      return sorted(rollouts);
    },
    async audit(name, limit) {
      await usable();
      const numbers = (name === "" ? log.after(0n) : log.of(name)).slice(-limit).reverse();
      const entries = await translated(name, () => Promise.all(numbers.map(log.read)));
      return entries.flatMap((entry) => entry ?? []);
    },
    // Registered now, so that nothing written before the first read is lost.
    watch: (after, signal) => replayed(after, routeEvents.watch([], signal), eventOf),
    watchRollouts: (after, signal) =>
      replayed(after, rolloutEvents.watch([], signal), rolloutEventOf),
    async restore(contents) {
      await usable();
      await translated("", () =>
        restoreContents(settling, contents, (name) => alone(name, () => finish(settling, name))),
      );
    },
    staleSince: () => [...lostSince.values()].sort((a, b) => a.getTime() - b.getTime())[0],
    refused: () => problems,
    onRefused: (listener) => listeners.push(listener),
    async close() {
      if (stop.signal.aborted) return;
      stop.abort();
      routeEvents.close();
      rolloutEvents.close();
      client.close();
    },
  };
}

function sorted<T>(byName: ReadonlyMap<string, T>): T[] {
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
