import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";

/** An address to listen on or to reach. */
export interface Address {
  host: string;
  port: number;
}

/** A module of filters and what it is told. */
export interface FilterCode {
  /** Its bytes, or a path on the proxy's machine. */
  wasm: { bytes: Uint8Array } | { file: string };
  /** Its configuration, as it reads it. */
  config: string;
}

/** What the Envoy messages need beyond the routes. */
export interface ResourceOptions {
  /** Where the proxies listen for clients. */
  gateway: Address;
  /** weir.wasm, or weir-full.wasm where a route needs it: every proxy runs it. */
  weir: FilterCode;
  /** Module that takes over until a configuration arrives; absent: the same. */
  fallback?: FilterCode["wasm"];
  /** token-limit.wasm, where a route asks for it. */
  tokenLimit?: FilterCode | undefined;
  /** What looks at the copies that a route's shadow gets; absent, or undefined of a route: nothing. */
  copies?(route: InferenceRoute): FilterCode | undefined;
  /** Where the filters report to. */
  report: Address;
  /** How the filters' reports prove what they are; absent where nobody is asked. */
  reportAccess?: ReportAccess;
}

export interface ReportAccess {
  /** Bearer token of every report. */
  token?: string;
  /** The control service's certificate, by the SHA-256 of it in hex; absent: reports go in clear text. */
  certificateSha256?: string;
}

/** Cluster that the filters report to; named in their configuration. */
export const reportClusterName = "weir_control";

/** Names of the one listener, route configuration and the filters. */
export const listenerName = "weir";
export const routeConfigName = "weir";
export const filterName = "weir";
export const tokenFilterName = "weir-token-limit";
/** Name of the filter behind which a shadow's copies go on, and of the VM that is its own. */
export const copyFilterName = "weir-shadow-copies";
