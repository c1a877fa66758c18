import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bytes,
  deleteOp,
  type EtcdClient,
  EtcdError,
  getOp,
  putOp,
  text,
  unchanged,
} from "../../etcd/index.ts";
import type { KeyValue, ResponseOp } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { Change } from "../change.ts";
import { StoreUnavailableError } from "../store.ts";
import { type Keys, openEntry, openRoute, sealEntry, sealRoute } from "./layout.ts";

/** A write that loses against others, or whose cluster has no leader, is tried again for this long. */
const patienceMs = 5_000;
const pauseMs = 20;

/** What a write builds on, read at one revision. */
interface Before {
  sequence: bigint;
  sequenceRevision: bigint;
  stored: RouteState | undefined;
}

/**
 * Makes one write: reads, computes the change, and commits it if nothing was
 * written in between; else again. Every attempt carries the same id in its
 * audit entry, so a commit whose answer was lost is found instead of made twice.
 * @throws StoreUnavailableError, and whatever `make` throws
 */
export async function writeChange(
  client: EtcdClient,
  keys: Keys,
  name: string,
  make: (stored: RouteState | undefined, sequence: bigint) => Change,
): Promise<Change> {
  const id = randomBytes(16);
  const deadline = performance.now() + patienceMs;
  // Number under which an attempt without an answer lies, if it was applied.
  let inDoubt = 0n;
  let why = "other writers were always faster";
  for (let attempt = 1; performance.now() < deadline; attempt++) {
    try {
      const before = await readBefore(client, keys, name);
      if (inDoubt > 0n && before.sequence >= inDoubt) {
        const done = await findOwn(client, keys, inDoubt, id);
        if (done) return done;
        inDoubt = 0n;
      }
      const change = make(before.stored, before.sequence + 1n);
      const request = commitOf(keys, name, id, before.sequenceRevision, change);
      const committed = await client.txn(request).catch((error: unknown) => {
        if (!(error instanceof EtcdError && error.refused)) inDoubt = change.entry.sequence;
        throw error;
      });
      if (committed.succeeded) return change;
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      why = error.message;
      if (error.refused) break;
    }
    await sleep(pauseMs * Math.random() * Math.min(attempt, 16));
  }
  throw new StoreUnavailableError(
    inDoubt > 0n
      ? `etcd did not answer (${why}): whether the write was made is not known`
      : `etcd did not take the write: ${why}`,
  );
}

async function readBefore(client: EtcdClient, keys: Keys, name: string): Promise<Before> {
  const { responses } = await client.read({
    success: [getOp(keys.sequence), getOp(keys.route(name))],
  });
  const [sequence, route] = responses.map(firstOf);
  return {
    sequence: sequence ? BigInt(text(sequence.value)) : 0n,
    sequenceRevision: sequence?.modRevision ?? 0n,
    stored: route ? openRoute(route) : undefined,
  };
}

function firstOf({ response }: ResponseOp): KeyValue | undefined {
  return response.case === "responseRange" ? response.value.kvs[0] : undefined;
}

/** Whether an attempt of this write was applied after all. */
async function findOwn(
  client: EtcdClient,
  keys: Keys,
  sequence: bigint,
  id: Buffer,
): Promise<Change | undefined> {
  const { responses } = await client.read({ success: [getOp(keys.auditOf(sequence))] });
  const kv = responses.map(firstOf)[0];
  if (kv === undefined) return undefined;
  const found = openEntry(kv);
  if (!found.id.equals(id)) return undefined;
  return { entry: found.entry, ...(found.entry.after ? { state: found.entry.after } : {}) };
}

function commitOf(
  keys: Keys,
  name: string,
  id: Buffer,
  sequenceRevision: bigint,
  { state, entry }: Change,
): Parameters<EtcdClient["txn"]>[0] {
  return {
    compare: [unchanged(keys.sequence, sequenceRevision)],
    success: [
      putOp(keys.sequence, bytes(String(entry.sequence))),
      state ? putOp(keys.route(name), sealRoute(state)) : deleteOp(keys.route(name)),
      putOp(keys.auditOf(entry.sequence), sealEntry(id, entry)),
      putOp(keys.history(name, entry.sequence), bytes("")),
    ],
  };
}
