import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type {
  KeyValue,
  TxnRequestSchema,
  TxnResponse,
  WatchResponse,
} from "../gen/etcdserverpb/rpc_pb.ts";
import type { EtcdAddress } from "./address.ts";
import { bytes, endOf, type RangeOptions } from "./keys.ts";
import { createMembers } from "./members.ts";

/** The calls of etcd's v3 API that Weir makes, to whichever member answers. */
export interface EtcdClient {
  /** All keys start with it. */
  prefix: string;
  /** The keys from one up to, but without, another; linearizable. @throws EtcdError */
  range(
    key: string | Uint8Array,
    end: Uint8Array,
    options?: RangeOptions,
  ): Promise<{ kvs: KeyValue[]; more: boolean; revision: bigint }>;
  /** Tried on every member in turn: for transactions that only read. @throws EtcdError */
  read(request: MessageInitShape<typeof TxnRequestSchema>): Promise<TxnResponse>;
  /** Sent once: after an error it may have been applied all the same. @throws EtcdError */
  txn(request: MessageInitShape<typeof TxnRequestSchema>): Promise<TxnResponse>;
  /** Events of all keys with a prefix from a revision on; throws when the stream ends, however it ends. */
  watch(prefix: string, from: bigint, signal: AbortSignal): AsyncIterable<WatchResponse>;
  /** A lease of so many seconds. @throws EtcdError */
  grant(ttlSeconds: number): Promise<bigint>;
  /** Seconds the lease now has; 0 when it is gone. @throws EtcdError */
  keepAlive(lease: bigint): Promise<number>;
  revoke(lease: bigint): Promise<void>;
  close(): void;
}

/** One call may take this long before the next member is asked. */
const callMs = 2_000;

const raw = (key: string | Uint8Array) => (typeof key === "string" ? bytes(key) : key);

/**
 * Makes a client that asks the next member when one does not answer within 2 seconds. Its calls
 * throw EtcdError.
 */
export function createEtcdClient(address: EtcdAddress): EtcdClient {
  const members = createMembers(address);
  const once = { timeoutMs: callMs } satisfies CallOptions;

  async function* one<T>(message: T): AsyncIterable<T> {
    yield message;
  }

  return {
    prefix: address.prefix,
    range: (key, rangeEnd, options = {}) =>
      members.each(async ({ kv }) => {
        const answer = await kv.range({ ...options, key: raw(key), rangeEnd }, once);
        return { kvs: answer.kvs, more: answer.more, revision: answer.header?.revision ?? 0n };
      }),
    read: (request) => members.each(({ kv }) => kv.txn(request, once)),
    txn: (request) => members.one(({ kv }) => kv.txn(request, once)),
    watch: (prefix, from, signal) => follow(prefix, from, signal),
    grant: (ttlSeconds) =>
      members.each(async ({ lease }) => {
        const { ID } = await lease.leaseGrant({ TTL: BigInt(ttlSeconds) }, once);
        return ID;
      }),
    keepAlive: (id) =>
      members.each(async ({ lease }) => {
        for await (const { TTL } of lease.leaseKeepAlive(one({ ID: id }), once)) return Number(TTL);
        return 0;
      }),
    revoke: (id) =>
      members.each(async ({ lease }) => {
        await lease.leaseRevoke({ ID: id }, once);
      }),
    close: () => members.close(),
  };

  async function* follow(
    prefix: string,
    from: bigint,
    signal: AbortSignal,
  ): AsyncIterable<WatchResponse> {
    const ended = new AbortController();
    const create = {
      requestUnion: {
        case: "createRequest" as const,
        value: {
          key: bytes(prefix),
          rangeEnd: endOf(prefix),
          startRevision: from,
          progressNotify: true,
        },
      },
    };
    // The request side stays open: etcd ends a watch whose client has finished speaking.
    async function* requests() {
      yield create;
      await new Promise<void>((resolve) => {
        for (const each of [signal, ended.signal])
          if (each.aborted) resolve();
          else each.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    try {
      const stream = await members.one(async ({ watch }) => watch.watch(requests(), { signal }));
      for await (const response of stream) {
        if (response.canceled)
          throw new Error(
            response.compactRevision > 0n
              ? `compacted up to revision ${response.compactRevision}`
              : response.cancelReason || "the watch was cancelled",
          );
        yield response;
      }
      throw new Error("the watch ended");
    } catch (error) {
      members.turn();
      throw error;
    } finally {
      ended.abort();
    }
  }
}
