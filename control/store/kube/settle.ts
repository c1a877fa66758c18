import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { type KubeClient, KubeError, type KubeObject } from "../../kube/index.ts";
import {
  draftRoute,
  hostConflicts,
  type Problem,
  routeName,
  routesByHost,
  validateRoute,
} from "../../route/index.ts";
import { type Change, deleteChange, putChange, type Writing } from "../change.ts";
import { type Author, StoreUnavailableError } from "../store.ts";
import type { ChangeLog } from "./change-log.ts";
import { checkDeleted } from "./loss.ts";
import { routePath, storeManager } from "./names.ts";
import { type RouteObject, readRouteObject, specDigest } from "./route-object.ts";
import { writeState } from "./write-state.ts";

/** What settling works on. */
export interface Settling {
  client: KubeClient;
  log: ChangeLog;
  states: ReadonlyMap<string, RouteState>;
  /** Routes that are not there are gone, even where their whole kind is. */
  acceptEmpty: boolean;
  /** Specs in the cluster that may not be stored, by route; none when it may. */
  refused(name: string, problems: Problem[]): void;
  /** Another writer's change is on its way: look again soon. */
  later(name: string): void;
  now(): Date;
}

const maxTries = 20;

/**
 * Brings a route's object and the log together: what was edited in the cluster
 * becomes a change of the log; what the log has and the object lacks is
 * written. Reads the object afresh, and must run alone for a route.
 */
export async function settle(on: Settling, name: string): Promise<void> {
  for (let tries = 0; tries < maxTries; tries++) {
    const live = await on.client.get(routePath(name));
    if (await settleOnce(on, name, live)) return;
  }
  throw new StoreUnavailableError(`${name} changes faster than weir can follow`);
}

/** Whether the object already shows the log's newest change of the route: then nothing is to do. */
export function isSettled(log: ChangeLog, read: RouteObject): boolean {
  const last = log.newestOf(read.name);
  return (
    last?.applied === true &&
    last.effect !== "delete" &&
    !read.edited &&
    read.sequence === last.sequence &&
    read.object.metadata.deletionTimestamp === undefined
  );
}

async function settleOnce(
  on: Settling,
  name: string,
  live: KubeObject | undefined,
): Promise<boolean> {
  const last = on.log.newestOf(name);
  if (live === undefined || live.metadata.deletionTimestamp !== undefined) {
    on.refused(name, []);
    if (last === undefined) return true;
    if (last.effect === "delete") {
      await on.log.markApplied(last.sequence);
      return true;
    }
    if (live === undefined && !last.applied) return project(on, name, live);
    await checkDeleted(on, name);
    return adoptDelete(on, name, live);
  }
  const read = readRouteObject(live);
  if (last?.effect === "delete" && !last.applied) return project(on, name, live);
  if (last === undefined || last.effect === "delete" || read.edited) return adopt(on, name, read);
  if (read.sequence === last.sequence) {
    on.refused(name, []);
    await on.log.markApplied(last.sequence);
    return true;
  }
  if (read.sequence > last.sequence) {
    await on.log.catchUp();
    if ((on.log.newestOf(name)?.sequence ?? 0n) > last.sequence) return false;
    return adopt(on, name, read);
  }
  // An old copy that was put back is an edit; one that is only behind is being written.
  if (last.applied) return adopt(on, name, read);
  on.later(name);
  return true;
}

/**
 * Writes the log's newest state into the object. False: it changed meanwhile,
 * look again. An edit that came in between stands, as a later change.
 */
export async function project(
  on: Settling,
  name: string,
  live: KubeObject | undefined,
): Promise<boolean> {
  const last = on.log.newestOf(name);
  const state = on.states.get(name);
  if (last === undefined) return true;
  if (last.effect === "delete" || state === undefined) {
    const { uid, resourceVersion } = live?.metadata ?? {};
    if (live && live.metadata.deletionTimestamp === undefined) {
      const gone = () =>
        on.client.delete(routePath(name), {
          ...(uid ? { uid } : {}),
          ...(resourceVersion ? { resourceVersion } : {}),
        });
      if (!(await unlessConflict(gone))) return false;
    }
    await on.log.markApplied(last.sequence);
    return true;
  }
  const read = live ? readRouteObject(live) : undefined;
  if (read && !read.edited && read.sequence >= last.sequence) {
    await on.log.markApplied(last.sequence);
    return true;
  }
  const same = read?.route && specDigest(read.route) === specDigest(state.route as InferenceRoute);
  if (read?.edited && !same) {
    await on.log.markApplied(last.sequence);
    return adopt(on, name, read);
  }
  const written = await unlessConflict(() => writeState(on.client, name, state, read));
  if (!written) return false;
  await on.log.markApplied(last.sequence);
  return true;
}

async function adopt(on: Settling, name: string, read: RouteObject): Promise<boolean> {
  const problems = read.route ? meaningProblems(on, read.route) : read.problems;
  on.refused(name, problems);
  const route = read.route;
  if (problems.length > 0 || route === undefined) return true;
  const before = on.states.get(name) ?? read.state;
  const stored = on.states.get(name);
  if (stored?.route && specDigest(stored.route) === specDigest(route)) {
    // The spec is right and only our note about it is not.
    return unlessConflict(() => writeState(on.client, name, stored, read));
  }
  const draft = draftRoute(route, before);
  const author = { principal: editor(read.object), reason: "edited in the cluster" };
  const added = await append(on, () => {
    // Another route that was decided on meanwhile may have taken a host.
    if (meaningProblems(on, route).length > 0) return undefined;
    return putChange(writing(on, name, stored, author), draft, "", "apply");
  });
  if (added === undefined) return false;
  return project(on, name, read.object);
}

async function adoptDelete(
  on: Settling,
  name: string,
  live: KubeObject | undefined,
): Promise<boolean> {
  const author = { principal: live ? editor(live) : "", reason: "deleted in the cluster" };
  const stored = on.states.get(name);
  const added = await append(on, () => {
    return deleteChange(writing(on, name, stored, author), "");
  });
  if (added === undefined) return false;
  await on.log.markApplied(added.entry.sequence);
  return true;
}

/** Undefined when another change came first: look again. */
function append(on: Settling, make: () => Change | undefined): Promise<Change | undefined> {
  return on.log.inTurn(async () => {
    const change = make();
    if (change === undefined || (await on.log.append(change))) return change;
    await on.log.catchUp();
    return undefined;
  });
}

/** What was done in the cluster, as the next write of the log. */
function writing(
  { log, now }: Settling,
  name: string,
  route: RouteState | undefined,
  author: Author,
): Writing {
  const stored = { route, rollout: undefined, fence: log.fence() };
  return { name, stored, sequence: log.newest() + 1n, author, now: now() };
}

function meaningProblems(on: Settling, route: InferenceRoute): Problem[] {
  const hosts = routesByHost([...on.states.values()].flatMap(({ route }) => route ?? []));
  // They go into the object's status, which is for the readers of its namespace.
  const [namespace] = routeName(route).split("/", 1);
  const isNear = (owner: string) => owner.startsWith(`${namespace}/`);
  return [...validateRoute(route), ...hostConflicts(route, hosts, isNear)];
}

/** Who wrote the spec last, as the API server noted it. */
function editor(object: KubeObject): string {
  const writers = (object.metadata.managedFields ?? []).filter(
    ({ manager, subresource, fieldsV1 }) =>
      manager !== storeManager && !subresource && fieldsV1?.["f:spec"] !== undefined,
  );
  const newest = writers.sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? 1 : -1))[0];
  return newest?.manager ?? "cluster";
}

/** False when the API server says that the object changed since it was read. */
async function unlessConflict(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof KubeError && error.status === 409) return false;
    throw error;
  }
}
