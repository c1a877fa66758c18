import type { Interceptor } from "@connectrpc/connect";
import type { TlsFiles } from "../../auth/index.ts";
import type { ClusterOptions } from "../../controller/index.ts";
import type { PeerAddress } from "../../peers/index.ts";
import type { AddressRange } from "../../registration/index.ts";
import type { SourceOptions } from "../../rollout/index.ts";
import type { Log } from "../../telemetry/index.ts";
import type { Address, EdgeOptions } from "../../xds/index.ts";

/** What the control service is started with. */
export interface ServerOptions extends SourceOptions {
  /** API and page. */
  listen: Address;
  xds: Address;
  /** Where the proxies that Weir configures listen for clients. */
  gateway: Address;
  /** Whom they believe there, and how long they wait for clients. */
  edge?: EdgeOptions;
  /** "memory", "lmdb:DIRECTORY", "etcd://HOST:PORT[,...]" or "kube[:NAMESPACE]". */
  store: string;
  /** Sends an empty configuration even where the store is new and proxies run one. Absent: false. */
  acceptEmpty?: boolean;
  opened?(): void;
  /** With a store in Kubernetes: what is applied there, and how. */
  cluster?: ClusterOptions;
  /** weir.wasm on this machine, the other modules beside it; their bytes go to the proxies. */
  wasm: string;
  /** Path of weir.wasm on the proxies' machines, beside the others, instead of sending the bytes. */
  wasmOnProxy?: string;
  /** One token that may do everything. Without it, or an access file, nothing listens beyond loopback. */
  token?: string;
  /** File that every report is added to, for `weir rollout simulate --replay`. */
  record?: string;
  /** Access file: who may do what. */
  access?: string;
  tls?: TlsFiles;
  /** Names, or names with a port, under which the API is reached besides loopback's. */
  allowedHosts?: readonly string[];
  /** Addresses that pods may register with; absent: all but those that no pod has, such as loopback's. */
  endpointRanges?: readonly AddressRange[];
  log: Log;
  /** APIs of the other replicas of this control service; a name may stand for several, this one among them. */
  peers?: readonly PeerAddress[];
  interceptors?: Interceptor[];
  monotonicMs?(): number;
}
