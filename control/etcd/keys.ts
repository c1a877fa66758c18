import { create } from "@bufbuild/protobuf";
import {
  type Compare,
  Compare_CompareResult,
  Compare_CompareTarget,
  CompareSchema,
  type KeyValue,
  type RangeRequest,
  type RequestOp,
  RequestOpSchema,
  type ResponseOp,
} from "../gen/etcdserverpb/rpc_pb.ts";
import { EtcdError } from "./members.ts";

/** A key or a value as the UTF-8 that etcd keeps. */
export const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");

/** A key or a value from its UTF-8. */
export const text = (value: Uint8Array): string => Buffer.from(value).toString("utf8");

/** The first key behind all that start with a prefix, as etcd's range_end wants it. */
export function endOf(prefix: string): Uint8Array {
  const end = Buffer.from(prefix, "utf8");
  // UTF-8 has no byte 0xff, so the last one can always be raised.
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
  return end;
}

/** Holds when the key was last written at this revision; 0: when there is no such key. */
export function unchanged(key: string, revision: bigint): Compare {
  return create(CompareSchema, {
    result: Compare_CompareResult.EQUAL,
    target: Compare_CompareTarget.MOD,
    key: bytes(key),
    targetUnion: { case: "modRevision", value: revision },
  });
}

/**
 * Writes a key in a transaction.
 * @param lease with which the key goes; 0: it stays
 */
export function putOp(key: string, value: Uint8Array, lease = 0n): RequestOp {
  return create(RequestOpSchema, {
    request: { case: "requestPut", value: { key: bytes(key), value, lease } },
  });
}

/** Deletes a key in a transaction. */
export function deleteOp(key: string): RequestOp {
  return create(RequestOpSchema, {
    request: { case: "requestDeleteRange", value: { key: bytes(key) } },
  });
}

/** How a range is read. */
export type RangeOptions = Partial<
  Pick<RangeRequest, "limit" | "sortOrder" | "keysOnly" | "serializable" | "revision">
>;

/** Reads a key in a transaction, or with rangeEnd all keys before that. */
export function getOp(
  key: string,
  options: RangeOptions & { rangeEnd?: Uint8Array } = {},
): RequestOp {
  return create(RequestOpSchema, {
    request: { case: "requestRange", value: { ...options, key: bytes(key) } },
  });
}

/** Number of the newest leadership, in decimal: raised by whoever leads, compared by every write. */
export const fenceKey = (prefix: string): string => `${prefix}fence`;

/** A number kept as text; 0 when there is no such key. @throws EtcdError when it is no number */
export function numberOf(kv: KeyValue | undefined): bigint {
  if (kv === undefined) return 0n;
  const digits = text(kv.value.subarray(0, 30));
  if (!/^\d{1,20}$/.test(digits))
    throw new EtcdError(`${text(kv.key)} is damaged: it does not hold a number`, true);
  return BigInt(digits);
}

/** What a range in a transaction found. */
export function kvsOf(answer: ResponseOp | undefined): KeyValue[] {
  return answer?.response.case === "responseRange" ? answer.response.value.kvs : [];
}
