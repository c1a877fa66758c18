import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Budgets, Ledger } from "../report/index.ts";
import type { SignalHistory } from "../signals/index.ts";
import type { Author, Store } from "../store/index.ts";
import type { Fleet, Snapshot } from "../xds/index.ts";

/** What the handlers work on; made by the composition root. */
export interface ApiContext {
  store: Store;
  fleet: Fleet;
  ledger: Ledger;
  budgets: Budgets;
  signals: SignalHistory;
  /** The snapshot the proxies are sent, and the revision their filters should report. */
  published():
    | { snapshot: Snapshot; revision: string; etags: ReadonlyMap<string, string> }
    | undefined;
  /** Manifests for a route. */
  render(states: RouteState[], target: string, wasmUrl: string): string;
}

/** Who makes a change. Without authentication it is whoever can reach the address. */
export function author(reason: string, principal = "anonymous"): Author {
  return { principal, reason: reason.slice(0, 500) };
}
