/** An address to listen on or to reach. */
export interface Address {
  host: string;
  port: number;
}

/** A module's bytes, or its path on the proxy's machine. */
export type WasmSource = { bytes: Uint8Array } | { file: string };

/** What the Envoy messages need beyond the routes. */
export interface ResourceOptions {
  /** Where the proxies listen for clients. */
  gateway: Address;
  /** weir.wasm, which also takes over until a configuration arrives. */
  wasm: WasmSource;
  /** weir-full.wasm, for routes that need it; absent: all get the other. */
  fullWasm?: WasmSource;
  /** The filters' configuration, as they read it. */
  filterConfig: string;
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

/** Names of the one listener, route configuration and filter. */
export const listenerName = "weir";
export const routeConfigName = "weir";
export const filterName = "weir";
