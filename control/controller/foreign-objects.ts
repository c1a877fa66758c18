import { follow, type KubeClient, type KubeObject } from "../kube/index.ts";
import type { Cluster } from "../lint/index.ts";
import { instanceLabel } from "./desired.ts";
import { isThere } from "./kind-served.ts";
import type { Around } from "./unresolved.ts";

/** Objects of others that routes refer to or collide with. */
export interface Surroundings {
  /** Resolves when all kinds were read once. */
  ready: Promise<void>;
  /** What is known now; another value after each change. */
  now(): Around;
}

interface Kind {
  kind: string;
  path: string;
  /** Objects that this instance rendered are its own business. */
  foreign?: true;
}

const kinds: readonly Kind[] = [
  { kind: "Service", path: "/api/v1/services" },
  { kind: "Gateway", path: "/apis/networking.istio.io/v1/gateways" },
  { kind: "Gateway", path: "/apis/gateway.networking.k8s.io/v1/gateways" },
  {
    kind: "VirtualService",
    path: "/apis/networking.istio.io/v1/virtualservices",
    foreign: true,
  },
  {
    kind: "DestinationRule",
    path: "/apis/networking.istio.io/v1/destinationrules",
    foreign: true,
  },
];

/** Follows what is around the routes of an instance. */
export function createSurroundings(
  client: KubeClient,
  instance: string,
  onChange: () => void,
  signal: AbortSignal,
  say: (line: string) => void,
): Surroundings {
  const seen = new Map<string, Map<string, Cluster[number]>>();
  /** Paths that may not be read, and the kinds of existing objects. */
  const unread = new Map<string, string>();
  let around: Around | undefined;
  const changed = () => {
    around = undefined;
    onChange();
  };

  async function attend(each: Kind): Promise<void> {
    const { foreign, kind, path } = each;
    const there = await isThere(client, path, signal, () => void attend(each));
    if (there !== "forbidden") {
      if (unread.delete(path)) changed();
    } else if (!unread.has(path)) {
      unread.set(path, kind);
      changed();
    }
    if (there !== "yes") return;
    const objects = new Map<string, Cluster[number]>();
    seen.set(path, objects);
    const note = (object: KubeObject) => objects.set(idOf(object), kept(object, kind));
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve());
      const follower = {
        replace(found: KubeObject[]) {
          objects.clear();
          for (const object of found) note(object);
          resolve();
          changed();
        },
        changed(type: string, object: KubeObject) {
          const before = objects.get(idOf(object));
          if (type === "DELETED") objects.delete(idOf(object));
          else note(object);
          // Most events are about a status.
          if (JSON.stringify(before) !== JSON.stringify(objects.get(idOf(object)))) changed();
        },
        trouble(reason: string | undefined) {
          if (reason !== undefined) say(`cannot follow ${path}: ${reason}`);
        },
      };
      void follow(client, path, foreign ? `${instanceLabel}!=${instance}` : "", follower, signal);
    });
  }

  return {
    ready: Promise.all(kinds.map(attend)).then(() => {}),
    now() {
      around ??= {
        objects: [...seen.values()].flatMap((objects) => [...objects.values()]),
        unread: new Set(unread.values()),
      };
      return around;
    },
  };
}

function idOf({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Only what the lints read: a cluster has thousands of these. Items of a list name no kind. */
function kept({ apiVersion, metadata, spec }: KubeObject, kind: string): Cluster[number] {
  const { annotations, name, namespace } = metadata;
  const route = annotations?.["weir.dev/route"];
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      ...(route ? { annotations: { "weir.dev/route": route } } : {}),
    },
    ...(spec ? { spec } : {}),
  };
}
