import { follow, type KubeClient, type KubeObject } from "../kube/index.ts";
import { digestAnnotation, routesOf } from "./desired.ts";
import { isThere } from "./kind-served.ts";
import { collectionOf, keyOf, type RenderedKind, renderedKinds } from "./resources.ts";

/** An object of ours as it is in the cluster. */
export interface Live {
  object: KubeObject;
  digest: string | undefined;
  routes: string[];
}

/** The objects in the cluster that carry this instance's label, kept up to date. */
export interface Managed {
  /** Resolves when all kinds were read once. */
  ready: Promise<void>;
  get(key: string): Live | undefined;
  all(): IterableIterator<[string, Live]>;
  /** What a write of ours gave: its event later is no news. */
  note(object: KubeObject): void;
  gone(key: string): void;
}

export function createManaged(
  client: KubeClient,
  selector: string,
  onChange: (key: string) => void,
  signal: AbortSignal,
  say: (line: string) => void,
): Managed {
  const objects = new Map<string, Live>();

  function note(object: KubeObject): void {
    const { annotations } = object.metadata;
    objects.set(keyOf(object), {
      object: trimmed(object),
      digest: annotations?.[digestAnnotation],
      routes: routesOf(annotations),
    });
  }

  async function attend(kind: RenderedKind): Promise<void> {
    const path = collectionOf(kind);
    // No object of the kind exists or can be listed; the other kinds need not wait for it.
    if ((await isThere(client, path, signal, () => void attend(kind))) !== "yes") return;
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve());
      const follower = {
        replace(found: KubeObject[]) {
          const keys = new Set(found.map(keyOf));
          for (const [key, { object }] of objects)
            if (
              object.kind === kind.kind &&
              object.apiVersion === kind.apiVersion &&
              !keys.has(key)
            )
              objects.delete(key);
          for (const object of found) note(object);
          resolve();
          onChange(kind.kind);
        },
        changed(type: string, object: KubeObject) {
          const key = keyOf(object);
          const known = objects.get(key)?.object.metadata;
          if (type === "DELETED") {
            if (known !== undefined && known.uid !== object.metadata.uid) return;
            if (!objects.delete(key)) return;
          } else {
            if (known?.resourceVersion === object.metadata.resourceVersion) return;
            note(object);
          }
          onChange(key);
        },
        trouble(reason: string | undefined) {
          if (reason !== undefined) say(`cannot follow ${kind.plural}: ${reason}`);
        },
      };
      void follow(client, path, selector, follower, signal);
    });
  }

  return {
    ready: Promise.all(renderedKinds.map(attend)).then(() => {}),
    get: (key) => objects.get(key),
    all: () => objects.entries(),
    note,
    gone: (key) => {
      objects.delete(key);
    },
  };
}

/** Only what is compared later: thousands of these are kept. */
function trimmed({ apiVersion, kind, metadata, spec }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, labels, deletionTimestamp } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(labels ? { labels } : {}),
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
    ...(spec ? { spec } : {}),
  };
}
