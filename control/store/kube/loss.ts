import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { type KubeClient, KubeError } from "../../kube/index.ts";
import { StoreUnavailableError } from "../store.ts";
import { writeState } from "./write-state.ts";

/** InferenceRoutes cannot be there for now: that one is missing says nothing about it. */
export class LossError extends StoreUnavailableError {
  override name = "LossError";
  /** The kind itself goes from the cluster, or is gone. */
  readonly kind: boolean;
  constructor(message: string, kind: boolean) {
    super(message);
    this.kind = kind;
  }
}

/** What the question needs. */
export interface Known {
  client: KubeClient;
  states: ReadonlyMap<string, RouteState>;
  acceptEmpty: boolean;
}

/**
 * Asks the API server whether a route that is not there could be: when the kind is
 * removed, its objects go one after the other like those that people delete, and who
 * may not look or write anymore sees as little.
 * @throws LossError when it could not
 */
export async function checkDeleted(on: Known, name: string): Promise<void> {
  const state = on.states.get(name);
  if (on.acceptEmpty || state === undefined) return;
  try {
    await writeState(on.client, name, state, undefined, true);
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    // A namespace that goes takes its routes with it, and that is meant.
    const leaves = error.causes.some(({ reason }) => reason === "NamespaceTerminating");
    const isKind =
      error.status === 405 || (error.status === 404 && !/namespaces/.test(error.message));
    if (!isKind && (error.status !== 403 || leaves)) return;
    throw new LossError(
      `the route is missing in the cluster; its last known version stays in use: ${error.message}`,
      isKind,
    );
  }
}
