import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { KubeClient } from "../../kube/index.ts";
import { routePath, routesPath, stateAnnotation, storeManager } from "./names.ts";
import { type RouteObject, specDigest, stateText, writeRouteObject } from "./route-object.ts";

/** Writes a state over what was read; checks only, when dryRun is set. */
export async function writeState(
  client: KubeClient,
  name: string,
  state: RouteState,
  read: RouteObject | undefined,
  dryRun = false,
): Promise<void> {
  const options = { fieldManager: storeManager, dryRun };
  if (read === undefined) {
    await client.create(
      routesPath(name),
      writeRouteObject(name, state, undefined, undefined),
      options,
    );
    return;
  }
  const { resourceVersion } = read.object.metadata;
  if (read.route && specDigest(read.route) === specDigest(state.route as InferenceRoute)) {
    const annotations = { [stateAnnotation]: stateText(state) };
    await client.merge(routePath(name), { metadata: { resourceVersion, annotations } }, options);
    return;
  }
  const before = read.route ? ({ route: read.route } as RouteState) : undefined;
  await client.replace(
    routePath(name),
    writeRouteObject(name, state, before, read.object),
    options,
  );
}
