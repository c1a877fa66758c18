import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bytes,
  deleteOp,
  type EtcdClient,
  EtcdError,
  getOp,
  kvsOf,
  numberOf,
  putOp,
  unchanged,
} from "../../etcd/index.ts";
import { type Change, changeOf, type Stored } from "../change.ts";
import { StoreUnavailableError } from "../store.ts";
import { checkGrown } from "./copy.ts";
import { type Keys, openEntry, sealEntry, sealRollout, sealRoute } from "./layout.ts";
import type { Recovery } from "./recovery.ts";

/** A write that loses against others, or whose cluster has no leader, is tried again for this long. */
const patienceMs = 5_000;
const pauseMs = 20;

/** What a write builds on, read at one revision. */
interface Before {
  sequence: bigint;
  sequenceRevision: bigint;
  fenceRevision: bigint;
  stored: Stored;
}

/**
 * Makes one write: reads, computes the change, and commits it if nothing was
 * written in between; else again. Every attempt carries the same id in its
 * audit entry, so a commit whose answer was lost is found instead of made twice.
 * @param known the newest number that this process has seen
 * @throws StoreUnavailableError, and whatever `make` throws
 */
export async function writeChange(
  client: EtcdClient,
  keys: Keys,
  recovery: Recovery,
  known: bigint,
  name: string,
  make: (stored: Stored, sequence: bigint) => Change,
): Promise<Change> {
  const id = randomBytes(16);
  const deadline = performance.now() + patienceMs;
  // Number under which an attempt without an answer lies, if it was applied.
  let inDoubt = 0n;
  let why = "other writers changed the store each time";
  for (let attempt = 1; performance.now() < deadline; attempt++) {
    try {
      const before = await readBefore(client, keys, recovery, name);
      checkGrown(keys, known, before.sequence);
      if (inDoubt > 0n && before.sequence >= inDoubt) {
        const done = await findOwn(client, keys, inDoubt, id);
        if (done) return done;
        inDoubt = 0n;
      }
      const change = make(before.stored, before.sequence + 1n);
      const request = commitOf(keys, name, id, before, change);
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
      ? `etcd did not answer (${why}): it is unknown whether the write was stored`
      : `etcd did not accept the write: ${why}`,
  );
}

async function readBefore(
  client: EtcdClient,
  keys: Keys,
  recovery: Recovery,
  name: string,
): Promise<Before> {
  const { responses } = await client.read({
    success: [keys.sequence, keys.fence, keys.route(name), keys.rollout(name)].map((key) =>
      getOp(key),
    ),
  });
  const [sequence, fence, route, rollout] = responses.map((answer) => kvsOf(answer)[0]);
  return {
    sequence: numberOf(sequence),
    sequenceRevision: sequence?.modRevision ?? 0n,
    fenceRevision: fence?.modRevision ?? 0n,
    stored: {
      route: route && (await recovery.route(route)),
      rollout: rollout && (await recovery.rollout(rollout)),
      fence: numberOf(fence),
    },
  };
}

/** Whether an attempt of this write was applied after all. */
async function findOwn(
  client: EtcdClient,
  keys: Keys,
  sequence: bigint,
  id: Buffer,
): Promise<Change | undefined> {
  const { responses } = await client.read({ success: [getOp(keys.auditOf(sequence))] });
  const [kv] = kvsOf(responses[0]);
  if (kv === undefined) return undefined;
  const found = openEntry(kv);
  return found.id.equals(id) ? changeOf(found.entry) : undefined;
}

function commitOf(
  keys: Keys,
  name: string,
  id: Buffer,
  { sequenceRevision, fenceRevision }: Before,
  { state, deleted, rollout, fence, entry }: Change,
): Parameters<EtcdClient["txn"]>[0] {
  return {
    compare: [unchanged(keys.sequence, sequenceRevision), unchanged(keys.fence, fenceRevision)],
    success: [
      putOp(keys.sequence, bytes(String(entry.sequence))),
      ...(state ? [putOp(keys.route(name), sealRoute(state))] : []),
      ...(deleted ? [deleteOp(keys.route(name))] : []),
      ...(rollout ? [putOp(keys.rollout(name), sealRollout(rollout))] : []),
      ...(fence === undefined ? [] : [putOp(keys.fence, bytes(String(fence)))]),
      putOp(keys.auditOf(entry.sequence), sealEntry(id, entry)),
      putOp(keys.history(name, entry.sequence), bytes("")),
    ],
  };
}
