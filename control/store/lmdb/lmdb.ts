import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { open } from "lmdb";
import { type RolloutState, RolloutStateSchema } from "../../gen/weir/v1/rollout_pb.ts";
import {
  AuditEntrySchema,
  type RouteState,
  RouteStateSchema,
} from "../../gen/weir/v1/service_pb.ts";
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
import { openRecord, sealRecord } from "../record.ts";
import {
  FencedError,
  NotStoredError,
  StaleEtagError,
  type Store,
  StoreUnavailableError,
} from "../store.ts";
import { createWrites } from "../writes.ts";
import { type Directory, takeDirectory } from "./directory.ts";
import { checkRoom } from "./room.ts";

export interface LmdbOptions {
  now?: () => Date;
  /** Makes the store where there is none; false refuses that. */
  make?: boolean;
}

/**
 * The embedded store: an LMDB file in a directory of its own, for one process.
 * A write is on the disk when its promise resolves.
 * @throws StoreUnavailableError when the directory cannot be used or its content is not whole
 */
export function createLmdbStore(
  path: string,
  { now = () => new Date(), make = true }: LmdbOptions = {},
): Store {
  const directory = takeDirectory(path, make);
  const { root, routes, rollouts, meta, log } = openFile(path, directory);
  const routeEvents = createBroadcast({ nameOf: eventName });
  const rolloutEvents = createBroadcast({ nameOf: rolloutEventName });
  let closed = false;

  const read = <Desc extends DescMessage>(
    schema: Desc,
    sealed: Buffer,
    what: string,
  ): MessageShape<Desc> => fromBinary(schema, openRecord(sealed, what));
  const stored = (name: string): RouteState | undefined => {
    const sealed = routes.get(name);
    return sealed ? read(RouteStateSchema, sealed, `route ${name}`) : undefined;
  };
  const storedRollout = (name: string): RolloutState | undefined => {
    const sealed = rollouts.get(name);
    return sealed ? read(RolloutStateSchema, sealed, `the rollout of ${name}`) : undefined;
  };
  const fence = (): bigint => {
    const sealed = meta.get("fence");
    return sealed ? BigInt(openRecord(sealed, "the fence").toString()) : 0n;
  };
  const newest = (): number => {
    for (const key of log.getKeys({ reverse: true, limit: 1 })) return key;
    return 0;
  };
  const entries = (range: object) =>
    [...log.getRange(range)].map(({ key, value }) =>
      read(AuditEntrySchema, value, `audit entry ${key}`),
    );

  /** A name has no checksum of its own: what was written last under it is in the audit under the same. */
  function checkName(kind: string, name: string, etag: string): void {
    const sealed = log.get(Number(etag));
    if (sealed === undefined) return;
    if (read(AuditEntrySchema, sealed, `audit entry ${etag}`).name !== name)
      throw new StoreUnavailableError(
        `the store ${path} is damaged (${kind} "${name}" is not what change ${etag} wrote): restore it from a backup`,
      );
  }
  try {
    for (const { key, value } of routes.getRange())
      checkName("route", key, read(RouteStateSchema, value, `route ${key}`).etag);
    for (const { key, value } of rollouts.getRange())
      checkName("rollout", key, read(RolloutStateSchema, value, `the rollout of ${key}`).etag);
  } catch (error) {
    void root.close();
    directory.release();
    throw error;
  }

  function write(name: string, make: (stored: Stored, sequence: bigint) => Change): Change {
    let change: Change | undefined;
    guard(() => {
      checkRoom(path);
      root.transactionSync(() => {
        const sequence = newest() + 1;
        const before = { route: stored(name), rollout: storedRollout(name), fence: fence() };
        const made = make(before, BigInt(sequence));
        if (made.state) routes.putSync(name, sealRecord(toBinary(RouteStateSchema, made.state)));
        if (made.deleted) routes.removeSync(name);
        if (made.rollout)
          rollouts.putSync(name, sealRecord(toBinary(RolloutStateSchema, made.rollout)));
        if (made.fence !== undefined)
          meta.putSync("fence", sealRecord(Buffer.from(String(made.fence))));
        log.putSync(sequence, sealRecord(toBinary(AuditEntrySchema, made.entry)));
        change = made;
      });
    });
    const done = change as unknown as Change;
    const event = eventOf(done.entry);
    if (event) routeEvents.send(event);
    const rolloutEvent = rolloutEventOf(done.entry);
    if (rolloutEvent) rolloutEvents.send(rolloutEvent);
    return done;
  }

  function guard<T>(work: () => T): T {
    if (closed) throw new StoreUnavailableError("the store is closed");
    try {
      return work();
    } catch (error) {
      if (
        error instanceof StaleEtagError ||
        error instanceof NotStoredError ||
        error instanceof FencedError ||
        error instanceof StoreUnavailableError
      )
        throw error;
      throw new StoreUnavailableError(`the store ${path} failed: ${errorText(error)}`);
    }
  }

  return {
    async get(name) {
      return guard(() => stored(name));
    },
    async list() {
      return guard(() => ({
        routes: [...routes.getRange()].map(({ key, value }) =>
          read(RouteStateSchema, value, `route ${key}`),
        ),
        sequence: BigInt(newest()),
      }));
    },
    ...createWrites(write, now),
    async getRollout(name) {
      return guard(() => storedRollout(name));
    },
    async listRollouts() {
      return guard(() =>
        [...rollouts.getRange()].map(({ key, value }) =>
          read(RolloutStateSchema, value, `the rollout of ${key}`),
        ),
      );
    },
    async audit(name, limit) {
      return guard(() => {
        if (name === "") return entries({ reverse: true, limit });
        const found = [];
        for (const { key, value } of log.getRange({ reverse: true })) {
          const entry = read(AuditEntrySchema, value, `audit entry ${key}`);
          if (entry.name === name) found.push(entry);
          if (found.length >= limit) break;
        }
        return found;
      });
    },
    watch(after, signal) {
      const backlog = guard(() => entries({ start: Number(after) + 1 })).flatMap(
        (entry) => eventOf(entry) ?? [],
      );
      return routeEvents.watch(backlog, signal);
    },
    watchRollouts(after, signal) {
      const backlog = guard(() => entries({ start: Number(after) + 1 })).flatMap(
        (entry) => rolloutEventOf(entry) ?? [],
      );
      return rolloutEvents.watch(backlog, signal);
    },
    async restore({ entries: given, ...states }) {
      guard(() =>
        root.transactionSync(() => {
          if (newest() > 0)
            throw new StoreUnavailableError("the store is not empty: restore into an empty store");
          for (const entry of given)
            log.putSync(Number(entry.sequence), sealRecord(toBinary(AuditEntrySchema, entry)));
          for (const [name, state] of states.routes)
            routes.putSync(name, sealRecord(toBinary(RouteStateSchema, state)));
          for (const [name, state] of states.rollouts)
            rollouts.putSync(name, sealRecord(toBinary(RolloutStateSchema, state)));
        }),
      );
    },
    async close() {
      if (closed) return;
      closed = true;
      routeEvents.close();
      rolloutEvents.close();
      await root.close();
      directory.release();
    },
  };
}

/** Opens LMDB in a directory that this process holds; gives it back where that fails. */
function openFile(path: string, directory: Directory) {
  try {
    // Without overlapping sync a commit has been flushed when it returns.
    const root = open({
      path,
      encoding: "binary",
      overlappingSync: false,
      maxDbs: 8,
      noSubdir: false,
    });
    const named = (name: string) => root.openDB<Buffer, string>({ name, encoding: "binary" });
    const files = {
      root,
      routes: named("routes"),
      rollouts: named("rollouts"),
      meta: named("meta"),
      log: root.openDB<Buffer, number>({
        name: "audit",
        encoding: "binary",
        keyEncoding: "uint32",
      }),
    };
    directory.made();
    return files;
  } catch (error) {
    directory.release();
    throw new StoreUnavailableError(`cannot open the store ${path}: ${errorText(error)}`);
  }
}
