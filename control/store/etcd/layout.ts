import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { bytes, type EtcdClient, fenceKey, text } from "../../etcd/index.ts";
import {
  type KeyValue,
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
} from "../../gen/etcdserverpb/rpc_pb.ts";
import { type RolloutState, RolloutStateSchema } from "../../gen/weir/v1/rollout_pb.ts";
import {
  type AuditEntry,
  AuditEntrySchema,
  type RouteState,
  RouteStateSchema,
} from "../../gen/weir/v1/service_pb.ts";
import { defaultNamespace, routeName } from "../../route/index.ts";
import { errorText } from "../../text/error-text.ts";
import { openRecord, sealRecord } from "../record.ts";
import { StoreUnavailableError } from "../store.ts";

/** Version of what follows; a store of another one is refused. */
const layout = "1";

/**
 * Where everything lies, below the prefix:
 *
 * - `layout`: the version of this layout
 * - `sequence`: number of the newest write, in decimal
 * - `fence`: the newest leadership, in decimal; the election raises it
 * - `routes/NAMESPACE/NAME`: a sealed RouteState
 * - `rollouts/NAMESPACE/NAME`: a sealed RolloutState
 * - `audit/SEQUENCE`: 16 bytes that name the write, then the AuditEntry, sealed;
 *   written once, never deleted: the log that watches replay
 * - `history/NAMESPACE/NAME/SEQUENCE`: empty; finds a route's audit
 */
export interface Keys {
  layout: string;
  sequence: string;
  fence: string;
  routes: string;
  rollouts: string;
  audit: string;
  route(name: string): string;
  rollout(name: string): string;
  auditOf(sequence: bigint): string;
  historyOf(name: string): string;
  history(name: string, sequence: bigint): string;
}

export function keysBelow(prefix: string): Keys {
  // Digits enough for every unsigned 64-bit number, so that keys sort as numbers do.
  const digits = (sequence: bigint) => String(sequence).padStart(20, "0");
  return {
    layout: `${prefix}layout`,
    sequence: `${prefix}sequence`,
    fence: fenceKey(prefix),
    routes: `${prefix}routes/`,
    rollouts: `${prefix}rollouts/`,
    audit: `${prefix}audit/`,
    route: (name) => `${prefix}routes/${name}`,
    rollout: (name) => `${prefix}rollouts/${name}`,
    auditOf: (sequence) => `${prefix}audit/${digits(sequence)}`,
    historyOf: (name) => `${prefix}history/${name}/`,
    history: (name, sequence) => `${prefix}history/${name}/${digits(sequence)}`,
  };
}

const idBytes = 16;

export function sealRoute(state: RouteState): Buffer {
  return sealRecord(toBinary(RouteStateSchema, state));
}

/** What a key of a route's holds. @throws StoreUnavailableError when it is not that route's whole state */
export function openRoute(kv: KeyValue, name: string): RouteState {
  const state = read(RouteStateSchema, opened(kv), "it");
  checkName(name, state.route && routeName(state.route));
  checkNumber(state.etag);
  if (state.route?.spec === undefined) throw new StoreUnavailableError("its route has no spec");
  return state;
}

export function sealRollout(state: RolloutState): Buffer {
  return sealRecord(toBinary(RolloutStateSchema, state));
}

/** The same of a rollout. @throws StoreUnavailableError */
export function openRollout(kv: KeyValue, name: string): RolloutState {
  const state = read(RolloutStateSchema, opened(kv), "it");
  const { namespace, name: local } = state.rollout?.metadata ?? {};
  checkName(name, `${namespace || defaultNamespace}/${local}`);
  checkNumber(state.etag);
  if (state.rollout?.spec === undefined) throw new StoreUnavailableError("its rollout has no spec");
  return state;
}

const opened = (kv: KeyValue) => openRecord(Buffer.from(kv.value), "it");

function checkName(key: string, found: string | undefined): void {
  if (!/^[a-z0-9][-.a-z0-9]*\/[a-z0-9][-.a-z0-9]*$/.test(key))
    throw new StoreUnavailableError("its name is not a valid route name");
  if (found !== key) throw new StoreUnavailableError(`it holds another object: ${found}`);
}

function checkNumber(etag: string): void {
  if (!/^\d{1,20}$/.test(etag)) throw new StoreUnavailableError("its etag is not a number");
}

export function sealEntry(id: Buffer, entry: AuditEntry): Buffer {
  return sealRecord(Buffer.concat([id, toBinary(AuditEntrySchema, entry)]));
}

/** A number as it ends the keys of the audit; undefined for anything else. */
export function sequenceIn(digits: string): bigint | undefined {
  return /^\d{20}$/.test(digits) ? BigInt(digits) : undefined;
}

const damagedAction = "damaged";

/** Whether an entry stands for one that could not be read. */
export const isDamaged = ({ action, name }: AuditEntry) => action === damagedAction && name === "";

/**
 * What a key of the audit holds. One that cannot be read, or is of another number than its
 * key, becomes an entry that says so; its number is 0 where the key has none.
 */
export function openEntry(kv: KeyValue): { id: Buffer; entry: AuditEntry } {
  const key = text(kv.key);
  const sequence = sequenceIn(key.slice(key.lastIndexOf("/") + 1)) ?? 0n;
  try {
    const content = opened(kv);
    const entry = read(AuditEntrySchema, content.subarray(idBytes), "it");
    if (entry.sequence !== sequence || isDamaged(entry))
      throw new StoreUnavailableError(`it holds another entry: ${entry.sequence}`);
    return { id: content.subarray(0, idBytes), entry };
  } catch (error) {
    const reason = errorText(error);
    const entry = create(AuditEntrySchema, { sequence, action: damagedAction, reason });
    return { id: Buffer.alloc(0), entry };
  }
}

function read<Desc extends DescMessage>(
  schema: Desc,
  content: Buffer,
  what: string,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, content);
  } catch {
    throw new StoreUnavailableError(
      `${what} cannot be read: it may have been written by a newer version of weir`,
    );
  }
}

/** Takes an empty keyspace, or checks that it has this layout. @throws EtcdError, StoreUnavailableError */
export async function checkLayout(client: EtcdClient, keys: Keys): Promise<void> {
  const key = bytes(keys.layout);
  const take: Parameters<EtcdClient["read"]>[0] = {
    compare: [
      {
        result: Result.EQUAL,
        target: Target.CREATE,
        key,
        targetUnion: { case: "createRevision", value: 0n },
      },
    ],
    success: [{ request: { case: "requestPut", value: { key, value: bytes(layout) } } }],
    failure: [{ request: { case: "requestRange", value: { key } } }],
  };
  // Taking it twice changes nothing, so another member may be asked like for a read.
  const { succeeded, responses } = await client.read(take);
  const answer = responses[0]?.response;
  if (succeeded || answer?.case !== "responseRange") return;
  const found = text(answer.value.kvs[0]?.value ?? bytes(""));
  if (found !== layout)
    throw new StoreUnavailableError(
      `the etcd store at ${client.prefix} has layout ${found}; this version of weir reads layout ${layout}`,
    );
}
