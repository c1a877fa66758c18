import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type AuditEntry, AuditEntrySchema } from "../../gen/weir/v1/service_pb.ts";
import type { KubeObject } from "../../kube/index.ts";
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

/** @throws StoreUnavailableError when the object does not hold a whole entry */
export function entryOf(object: KubeObject): AuditEntry {
  try {
    const packed = Buffer.from(String(object.spec?.entry), "base64");
    return fromBinary(AuditEntrySchema, brotliDecompressSync(packed));
  } catch (error) {
    throw new StoreUnavailableError(
      `the audit entry ${object.metadata.name} is damaged: ${error instanceof Error ? error.message : error}`,
    );
  }
}
