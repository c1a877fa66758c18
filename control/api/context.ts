import { Code, ConnectError } from "@connectrpc/connect";
import type { ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import type { KnownLoads } from "../loads/index.ts";
import type { Peers, Refused, Relay } from "../peers/index.ts";
import type { Registry } from "../registration/index.ts";
import type { Lease, Ledger } from "../report/index.ts";
import type { Engine, Sources } from "../rollout/index.ts";
import type { SignalHistory } from "../signals/index.ts";
import type { Author, Store } from "../store/index.ts";
import type { Fleet, Snapshot } from "../xds/index.ts";
import { principal } from "./access.ts";

/** The snapshot a proxy is sent, the revision its filters should report, and the etags of the routes in it. */
export interface Published {
  snapshot: Snapshot;
  revision: string;
  etags: ReadonlyMap<string, string>;
  /** Routes whose newest state is kept from all of them, by the proxy that was sent it first and refused; another map whenever it changes. */
  held: ReadonlyMap<string, Refused>;
}

/** What the filters of Istio's proxies should report; a route may be on some of them only. */
export interface MeshFilters {
  /** Of a route as it was rendered last; undefined for one that is not rendered. */
  of(name: string): RenderedFilters | undefined;
  /** Whether a revision is, or was, that of any route. */
  knows(revision: string): boolean;
}

export interface RenderedFilters {
  /** etag of the route that was rendered. */
  etag: string;
  revision: string;
  /** The same and those before: a proxy that reports one of them has the route. */
  revisions: ReadonlySet<string>;
}

/** What the handlers work on; made by the composition root. */
export interface ApiContext {
  /** As the request's principal may use it. */
  store: Store;
  /** The routes of all namespaces by host, independent of who calls. */
  hosts(): Promise<ReadonlyMap<string, readonly InferenceRoute[]>>;
  fleet: Fleet;
  ledger: Ledger;
  /** Name of this replica of the control service. */
  replica: string;
  /** The other replicas' proxies. */
  peers: Pick<Peers, "proxyViews" | "proxies" | "has" | "granted" | "onChange">;
  /** Hands what proxies report here to the other replicas. */
  relay: Relay;
  /** Takes a report of any replica's proxy and returns the shares that this replica decides. */
  onReport(report: ReportRequest): Lease[];
  signals: SignalHistory;
  /** What proxies with these namespaces are sent; undefined before there is anything. */
  published(scope: readonly string[]): Published | undefined;
  /** Namespaces whose routes a proxy has; ["*"] means all. */
  scope(node: string): readonly string[];
  /** What Istio's proxies should report; absent where Weir renders for none. */
  mesh?(): MeshFilters | undefined;
  /** Namespaces of the routes that a proxy's reports name; undefined before any did. */
  spoken?(node: string): ReadonlySet<string> | undefined;
  /** Runs the rollouts and returns their progress. */
  rollouts: Pick<Engine, "progress" | "walking" | "onProgress">;
  /** What rollouts may ask besides the proxies' reports. */
  sources: Sources;
  /** The pods that registered themselves. */
  registry: Registry;
  /** Tells the registry of the routes as they are stored now. */
  followRoutes(): Promise<void>;
  /** A clock that nobody sets. */
  monotonicMs(): number;
  /** How busy pods are: what a report is answered with, and what proxies see. */
  loads: Pick<KnownLoads, "of" | "pods" | "observed">;
  /** Manifests for a route. */
  render(states: RouteState[], asked: Asked): string;
}

/** How manifests are asked for; an empty member asks for what is usual. */
export interface Asked {
  target: string;
  wasmUrl: string;
  tokenLimitWasmUrl: string;
}

/** Longest reason that the audit keeps. */
export const maxReasonLength = 500;

/** Who makes a change: the principal of the request. @throws ConnectError when the reason is too long to keep */
export function author(reason: string): Author {
  if (reason.length > maxReasonLength)
    throw new ConnectError(
      `reason has ${reason.length} characters: at most ${maxReasonLength} are allowed`,
      Code.InvalidArgument,
    );
  return { principal: principal().name, reason };
}
