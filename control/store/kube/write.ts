import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { isTransient, KubeError, type KubeObject, pause } from "../../kube/index.ts";
import type { Change } from "../change.ts";
import { StoreUnavailableError } from "../store.ts";
import { routePath } from "./names.ts";
import { readRouteObject } from "./route-object.ts";
import { project, type Settling, settle } from "./settle.ts";
import { writeState } from "./write-state.ts";

/** A write goes on this long while the API server is away. */
export const patienceMs = 8_000;

/**
 * Decides on a change until it is in the log, then brings it into the route's
 * object. Must run alone for a route.
 * @param make decides on what is stored now; run again when another writer was faster
 */
export async function writeChange(
  on: Settling,
  name: string,
  make: () => Change,
  signal: AbortSignal,
): Promise<Change> {
  for (;;) {
    await settle(on, name);
    const object = await on.client.get(routePath(name));
    const change = await on.log.inTurn(() => decide(on, name, make, object));
    if (change === undefined) continue;
    if (change.state || change.deleted) await persist(on, name, object, signal);
    return change;
  }
}

/** Undefined when the object or the log changed meanwhile: look again. */
async function decide(
  on: Settling,
  name: string,
  make: () => Change,
  object: KubeObject | undefined,
): Promise<Change | undefined> {
  const change = make();
  if (object?.metadata.deletionTimestamp !== undefined && change.state)
    throw new StoreUnavailableError(`${name} is still being deleted: retry shortly`);
  if (change.state && !(await check(on, name, change.state, object))) return undefined;
  if (await on.log.append(change)) return change;
  await on.log.catchUp();
  return undefined;
}

/** Writes a change that is only in the log into the route's object, regardless of its author. */
export async function finish(on: Settling, name: string): Promise<void> {
  const object = await on.client.get(routePath(name));
  if (!(await project(on, name, object))) await settle(on, name);
}

/** The API server's own opinion, before the change is in the log. False: the object changed. */
async function check(
  on: Settling,
  name: string,
  state: RouteState,
  object: KubeObject | undefined,
): Promise<boolean> {
  try {
    await writeState(on.client, name, state, object && readRouteObject(object), true);
    return true;
  } catch (error) {
    if (error instanceof KubeError && error.status === 409) return false;
    throw error;
  }
}

/** The change has happened: an API server that goes away now only delays it. */
async function persist(
  on: Settling,
  name: string,
  object: KubeObject | undefined,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + patienceMs;
  for (let first = true; ; first = false) {
    try {
      if (first && (await project(on, name, object))) return;
      await finish(on, name);
      return;
    } catch (error) {
      if (!isTransient(error) || Date.now() > until || signal.aborted) {
        on.later(name);
        throw error;
      }
      await pause(200, signal);
    }
  }
}
