import { sotwResponse } from "./encode.ts";
import { digestOf, type EncodedResource, type Snapshot } from "./snapshot.ts";
import { type Subscription, wants } from "./subscription.ts";
import type { StreamType } from "./types.ts";

/** What one subscription gets of one type. */
export interface Selection {
  /** Digest of the selected content. */
  version: string;
  resources: EncodedResource[];
}

/**
 * A snapshot that is being sent. All its responses have one nonce, so that one
 * encoded frame serves every stream with the same subscription.
 */
export interface Published {
  /** From 1. */
  number: number;
  /** No other process has it: a proxy that comes from one may still hold its nonces. */
  nonce: string;
  snapshot: Snapshot;
  select(type: StreamType, subscription: Subscription): Selection;
  /** The frame of a whole selection under this snapshot's nonce, encoded once. */
  frame(type: StreamType, selection: Selection): Buffer;
}

/** Subscriptions, apart from all resources of a type, whose frames are kept: a client may change its own at will. */
const maxPartialFrames = 32;
const none: Selection = { version: digestOf([]), resources: [] };

/** @param processId what tells this process's nonces from those of others */
export function createPublished(number: number, snapshot: Snapshot, processId: string): Published {
  const nonce = `${processId}.${number}`;
  const whole = new Map<string, Selection>();
  const frames = new Map<Selection, Buffer>();
  const partial = new Map<string, Buffer>();
  for (const [name, set] of Object.entries(snapshot))
    whole.set(name, { version: set.version, resources: [...set.resources.values()] });

  return {
    number,
    nonce,
    snapshot,
    select(type, subscription) {
      const all = whole.get(type.name ?? "");
      if (all === undefined) return none;
      if (subscription.wildcard) return all;
      const resources = all.resources.filter(({ name }) => wants(subscription, name));
      if (resources.length === all.resources.length) return all;
      return { version: digestOf(resources), resources };
    },
    frame(type, selection) {
      const isWhole = whole.get(type.name ?? "") === selection;
      const key = `${type.name} ${selection.version}`;
      const kept = isWhole ? frames.get(selection) : partial.get(key);
      if (kept) return kept;
      const framed = sotwResponse(type.url, selection.version, nonce, selection.resources);
      if (partial.size >= maxPartialFrames) partial.clear();
      if (isWhole) frames.set(selection, framed);
      else partial.set(key, framed);
      return framed;
    },
  };
}
