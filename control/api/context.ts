import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Budgets, Ledger } from "../report/index.ts";
import type { SignalHistory } from "../signals/index.ts";
import type { Author, Store } from "../store/index.ts";
import type { Fleet, Snapshot } from "../xds/index.ts";
import { principal } from "./access.ts";

/** The snapshot a proxy is sent, the revision its filters should report, and the etags of the routes in it. */
export interface Published {
  snapshot: Snapshot;
  revision: string;
  etags: ReadonlyMap<string, string>;
}

/** What the handlers work on; made by the composition root. */
export interface ApiContext {
  /** As the request's principal may use it. */
  store: Store;
  /** The routes that have hosts, by host: of all namespaces, whoever asks. */
  hosts(): Promise<ReadonlyMap<string, string>>;
  fleet: Fleet;
  ledger: Ledger;
  budgets: Budgets;
  signals: SignalHistory;
  /** What a proxy is sent; undefined before there is anything. */
  published(node: string): Published | undefined;
  /** Namespaces whose routes a proxy has; ["*"] means all. */
  scope(node: string): readonly string[];
  /** Manifests for a route. */
  render(states: RouteState[], target: string, wasmUrl: string): string;
}

/** Who makes a change: the principal of the request. */
export function author(reason: string): Author {
  return { principal: principal().name, reason: reason.slice(0, 500) };
}
