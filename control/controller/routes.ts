import { follow, type KubeClient, KubeError, type KubeObject } from "../kube/index.ts";
import { allRoutesPath, routePath, stateAnnotation } from "../store/index.ts";
import { manager } from "./apply.ts";
import type { RouteMeta, RouteStatusJson } from "./meta.ts";

/** Kept on a route until what was made for it is gone. */
export const finalizer = "weir.dev/cleanup";

/** The InferenceRoutes' metadata and status, kept up to date. */
export interface RouteMetas {
  ready: Promise<void>;
  all(): ReadonlyMap<string, RouteMeta>;
  /** Adds or removes Weir's finalizer. */
  setFinalizer(meta: RouteMeta, present: boolean): Promise<void>;
  writeStatus(meta: RouteMeta, status: RouteStatusJson): Promise<void>;
}

export function createRouteMetas(
  client: KubeClient,
  onChange: () => void,
  signal: AbortSignal,
  say: (line: string) => void,
): RouteMetas {
  const metas = new Map<string, RouteMeta>();
  const note = (object: KubeObject) => {
    const meta = read(object);
    metas.set(meta.name, meta);
  };
  const ready = new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve());
    const follower = {
      replace(objects: KubeObject[]) {
        metas.clear();
        for (const object of objects) note(object);
        resolve();
        onChange();
      },
      changed(type: string, object: KubeObject) {
        const before = metas.get(`${object.metadata.namespace}/${object.metadata.name}`);
        if (type === "DELETED") metas.delete(read(object).name);
        else note(object);
        // Our own status is no news.
        const after = metas.get(read(object).name);
        if (before && after && sameButStatus(before, after)) return;
        onChange();
      },
      trouble(reason: string | undefined) {
        if (reason !== undefined) say(`cannot follow the routes: ${reason}`);
      },
    };
    void follow(client, allRoutesPath, "", follower, signal);
  });

  return {
    ready,
    all: () => metas,
    async setFinalizer(meta, present) {
      const others = meta.finalizers.filter((each) => each !== finalizer);
      const finalizers = present ? [...others, finalizer] : others;
      const patch = { metadata: { uid: meta.uid, resourceVersion: meta.version, finalizers } };
      await unlessGone(client.merge(routePath(meta.name), patch, { fieldManager: manager }));
    },
    async writeStatus(meta, status) {
      const [namespace, name] = meta.name.split("/");
      const object = {
        apiVersion: "weir.dev/v1alpha1",
        kind: "InferenceRoute",
        metadata: { name, namespace },
        status,
      };
      const path = `${routePath(meta.name)}/status`;
      await unlessGone(client.apply(path, object, { fieldManager: manager, force: true }));
      meta.status = status;
    },
  };
}

function read({ metadata, status }: KubeObject): RouteMeta {
  return {
    name: `${metadata.namespace}/${metadata.name}`,
    uid: metadata.uid ?? "",
    generation: metadata.generation ?? 0,
    deleting: metadata.deletionTimestamp !== undefined,
    version: metadata.resourceVersion ?? "",
    finalizers: metadata.finalizers ?? [],
    etag: sequenceIn(metadata.annotations?.[stateAnnotation]),
    status: status as RouteStatusJson | undefined,
  };
}

function sequenceIn(text: string | undefined): string | undefined {
  return /"sequence":"(\d+)"/.exec(text ?? "")?.[1];
}

function sameButStatus(a: RouteMeta, b: RouteMeta): boolean {
  return (
    a.uid === b.uid &&
    a.generation === b.generation &&
    a.deleting === b.deleting &&
    a.etag === b.etag &&
    a.finalizers.join() === b.finalizers.join()
  );
}

async function unlessGone(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!(error instanceof KubeError && (error.status === 404 || error.status === 409)))
      throw error;
  }
}
