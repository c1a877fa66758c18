import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { Ledger } from "../report/index.ts";
import type { Engine, Sources } from "../rollout/index.ts";
import type { SignalHistory } from "../signals/index.ts";
import type { Author, Store } from "../store/index.ts";
import type { Fleet, Refusal, Snapshot } from "../xds/index.ts";

/** What the handlers work on; made by the composition root. */
export interface ApiContext {
  store: Store;
  fleet: Fleet;
  ledger: Ledger;
  signals: SignalHistory;
  /** The snapshot the proxies are sent, and the revision their filters should report. */
  published():
    | {
        snapshot: Snapshot;
        revision: string;
        etags: ReadonlyMap<string, string>;
        /** The proxy that was sent it first and refused: the others are not sent it. */
        refused(): Refusal | undefined;
      }
    | undefined;
  /** Walks the rollouts, and tells what they are doing. */
  rollouts: Pick<Engine, "progress" | "onProgress">;
  /** What rollouts may ask besides the proxies' reports. */
  sources: Sources;
  /** Manifests for a route. */
  render(states: RouteState[], target: string, wasmUrl: string): string;
}

/** Who makes a change. Without authentication it is whoever can reach the address. */
export function author(reason: string, principal = "anonymous"): Author {
  return { principal, reason: reason.slice(0, 500) };
}
