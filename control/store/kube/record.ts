import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type AuditEntry, AuditEntrySchema } from "../../gen/weir/v1/service_pb.ts";
import type { KubeObject } from "../../kube/index.ts";
import { errorText } from "../../text/error-text.ts";
import { StoreUnavailableError } from "../store.ts";
import { appliedLabel, changeName, digest } from "./names.ts";

/** A RouteChange is for people to read and carries the whole entry for the store. */
export function changeObject(entry: AuditEntry, fence: bigint, namespace: string): object {
  const packed = brotliCompressSync(toBinary(AuditEntrySchema, entry), {
    // Before and after are nearly the same: a window over both finds that.
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "RouteChange",
    metadata: {
      name: changeName(entry.sequence),
      namespace,
      labels: {
        "weir.dev/route": digest(entry.name),
        // There is nothing to bring into an object.
        ...(effectOf(entry) === "none" ? { [appliedLabel]: "true" } : {}),
      },
    },
    spec: {
      sequence: Number(entry.sequence),
      route: entry.name,
      action: entry.action,
      principal: entry.principal,
      reason: entry.reason,
      at: (entry.at ? timestampDate(entry.at) : new Date(0)).toISOString(),
      entry: packed.toString("base64"),
      effect: effectOf(entry),
      rollout: entry.rolloutAfter !== undefined,
      fence: String(fence),
    },
  };
}

/** What a change does to the route's object. */
export type Effect = "put" | "delete" | "none";

function effectOf({ before, after }: AuditEntry): Effect {
  if (after) return "put";
  return before ? "delete" : "none";
}

/** More than this no entry inflates to: an object of the cluster holds a megabyte. */
const maxEntryBytes = 8 << 20;

/** @throws StoreUnavailableError when the object does not hold the whole entry of its number */
export function entryOf(object: KubeObject): AuditEntry {
  const { name } = object.metadata;
  try {
    const packed = Buffer.from(String(object.spec?.entry), "base64");
    const whole = brotliDecompressSync(packed, { maxOutputLength: maxEntryBytes });
    const entry = fromBinary(AuditEntrySchema, whole);
    if (changeName(entry.sequence) !== name) throw new Error(`it holds change ${entry.sequence}`);
    if (entry.name !== object.spec?.route) throw new Error(`it holds a change of ${entry.name}`);
    if (effectOf(entry) !== object.spec?.effect)
      throw new Error("its effect does not match its content");
    return entry;
  } catch (error) {
    throw new StoreUnavailableError(`the audit entry ${name} is damaged: ${errorText(error)}`);
  }
}

/** What stands for an entry that cannot be read: its number, and why. It changes nothing. */
export function damagedEntry(sequence: bigint, error: unknown): AuditEntry {
  const reason = errorText(error);
  return create(AuditEntrySchema, { sequence, action: "damaged", reason });
}
