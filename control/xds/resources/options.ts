import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";

/** An address to listen on or to reach. */
export interface Address {
  host: string;
  port: number;
}

/** A filter module and its configuration. */
export interface FilterCode {
  /** Its bytes, or a path on the proxy's machine. */
  wasm: { bytes: Uint8Array } | { file: string };
  /** Its configuration, as it reads it. */
  config: string;
}

/** TLS of the gateway: absolute paths of PEM files on the proxies' machines. */
export interface GatewayTls {
  /** Certificate chain, the gateway's own first. */
  cert: string;
  key: string;
  /** Authority of the clients, which then must show a certificate of it; absent: none is asked for. */
  clientCa?: string;
}

/** Where the proxies send the spans of requests, and of how many. */
export interface Traces {
  collector: Address & {
    /** Of OTLP. */
    protocol: "http" | "grpc";
    /** Of the URL; empty with gRPC. */
    path: string;
  };
  /** Share of the requests, 0 to 100. */
  percent: number;
  /** The service.name of the spans. */
  serviceName: string;
}

/** Which proxies in front the gateway believes, and how long it waits for clients. */
export interface EdgeOptions {
  /** Proxies in front whose entries of x-forwarded-for are taken for the client's address, 0 to 16; absent: 0. */
  trustedHops?: number;
  /** Each connection begins with a PROXY protocol header that tells the client's address; absent: none does. */
  proxyProtocol?: boolean;
  /** Milliseconds for a request's headers to come; absent: 10 s. */
  headersTimeoutMs?: number;
  /** Milliseconds that a connection without a request is kept; absent: 620 s. */
  idleTimeoutMs?: number;
  /** Milliseconds that a request or its answer may stand still; absent: an hour. */
  streamIdleTimeoutMs?: number;
  /** Absent: clear text. */
  tls?: GatewayTls;
  /** "stdout", or an absolute path on the proxies' machines, for a line of JSON for each request; absent: none. */
  accessLog?: string;
  /** Absent: no request is traced. */
  traces?: Traces;
}

/** A pod that registered itself, and its share of the variant's requests relative to others. */
export interface RegisteredPod {
  address: string;
  capacity: number;
}

/**
 * The pods that registered themselves for a variant of the route "namespace/name"; undefined while
 * they are not known: then proxies keep those that they have.
 */
export type RegisteredPods = (
  route: string,
  variant: string,
) => readonly RegisteredPod[] | undefined;

/** What the Envoy messages need beyond the routes. */
export interface ResourceOptions {
  /** Where the proxies listen for clients. */
  gateway: Address;
  edge?: EdgeOptions | undefined;
  /** weir.wasm, or weir-full.wasm where a route needs it: every proxy runs it. */
  weir: FilterCode;
  /** Module that takes over until a configuration arrives; absent: the same. */
  fallback?: FilterCode["wasm"];
  /** token-limit.wasm, where a route asks for it. */
  tokenLimit?: FilterCode | undefined;
  /** route-select.wasm, where a host has several routes, or one that takes only some requests. */
  routeSelect?: FilterCode | undefined;
  /** What looks at the copies that a route's shadow gets; absent, or undefined of a route: nothing. */
  copies?(route: InferenceRoute): FilterCode | undefined;
  /** Pods that registered themselves; absent: none does. */
  registered?: RegisteredPods | undefined;
  /** Where the filters report to. */
  report: Address;
  /** How the filters' reports prove what they are; absent where nobody is asked. */
  reportAccess?: ReportAccess;
}

export interface ReportAccess {
  /** Every report carries the proxy's own token, which it gets as a secret. */
  proven?: boolean;
  /** The control service's certificate, by the SHA-256 of it in hex; absent: reports go in clear text. */
  certificateSha256?: string;
}

/** Cluster that the filters report to; named in their configuration. */
export const reportClusterName = "weir_control";

/** Secret with which a proxy's reports prove whose they are. */
export const reportSecretName = "weir-report";

/** Secrets that name the files of the gateway's certificate, and of its clients' authority. */
export const gatewayCertificateName = "weir-gateway-certificate";
export const gatewayClientCaName = "weir-gateway-client-ca";

/** Names of the one listener, route configuration and the filters. */
export const listenerName = "weir";
export const routeConfigName = "weir";
export const filterName = "weir";
export const tokenFilterName = "weir-token-limit";
export const selectFilterName = "weir-route-select";
/** Name of the filter behind which a shadow's copies go on, and of the VM that is its own. */
export const copyFilterName = "weir-shadow-copies";

/** What the gateway waits for where nothing else is asked for, in milliseconds. */
export const edgeDefaults = {
  headersTimeoutMs: 10_000,
  // Longer than the 600 s that balancers of the large clouds keep a connection for.
  idleTimeoutMs: 620_000,
  // A model may think for long; a stream without a byte in an hour is dead.
  streamIdleTimeoutMs: 3_600_000,
} as const;
