import { sotwResponse } from "./encode.ts";
import { digestOf, type EncodedResource, type Snapshot } from "./snapshot.ts";
import { type Subscription, wants } from "./subscription.ts";
import type { ResourceType } from "./types.ts";

/** What one subscription gets of one type. */
export interface Selection {
  /** Digest of the selected content. */
  version: string;
  resources: EncodedResource[];
}

/**
 * A snapshot that is being sent. Its number is the nonce of its responses, so
 * that one encoded frame serves every stream with the same subscription.
 */
export interface Published {
  /** From 1. */
  number: number;
  nonce: string;
  snapshot: Snapshot;
  select(type: ResourceType, subscription: Subscription): Selection;
  /** The frame of a whole selection under this snapshot's nonce, encoded once. */
  frame(type: ResourceType, selection: Selection): Buffer;
}

export function createPublished(number: number, snapshot: Snapshot): Published {
  const whole = new Map<string, Selection>();
  const frames = new Map<string, Buffer>();
  for (const [name, set] of Object.entries(snapshot))
    whole.set(name, { version: set.version, resources: [...set.resources.values()] });

  return {
    number,
    nonce: String(number),
    snapshot,
    select(type, subscription) {
      const all = whole.get(type.name) as Selection;
      if (subscription.wildcard) return all;
      const resources = all.resources.filter(({ name }) => wants(subscription, name));
      if (resources.length === all.resources.length) return all;
      return { version: digestOf(resources), resources };
    },
    frame(type, selection) {
      const key = `${type.name} ${selection.version}`;
      let framed = frames.get(key);
      if (framed === undefined) {
        framed = sotwResponse(type.url, selection.version, String(number), selection.resources);
        frames.set(key, framed);
      }
      return framed;
    },
  };
}
