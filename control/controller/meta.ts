/** A condition of meta/v1. */
export interface ConditionJson {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration: number;
}

/** RouteStatus as the API server has it. */
export interface RouteStatusJson {
  observedGeneration: number;
  observedRevision: string;
  filterRevision: string;
  conditions: ConditionJson[];
  proxies?: { wanted: number; applied: number };
}

/** What the controller knows of an InferenceRoute besides its spec. */
export interface RouteMeta {
  name: string;
  uid: string;
  generation: number;
  deleting: boolean;
  version: string;
  finalizers: string[];
  /** etag of the state that the object shows. */
  etag: string | undefined;
  status: RouteStatusJson | undefined;
}
