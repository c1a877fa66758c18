import type { MessageInitShape } from "@bufbuild/protobuf";
import { HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores } from "../../gen/envoy/config/core/v3/protocol_pb.ts";
import type { FilterChainSchema } from "../../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { ProxyProtocolSchema } from "../../gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts";
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  type HttpConnectionManagerSchema,
} from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { HeaderMutationSchema } from "../../gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.ts";
import { controlHeaders } from "../../route/index.ts";
import { accessLogs } from "./access-log.ts";
import { milliseconds, pack } from "./common.ts";
import { gatewayTransportSocket } from "./gateway-tls.ts";
import { type EdgeOptions, edgeDefaults } from "./options.ts";
import { tracing } from "./traces.ts";

type ManagerInit = MessageInitShape<typeof HttpConnectionManagerSchema>;
type ListenerInit = MessageInitShape<typeof ListenerSchema>;

/** A body may come slowly, but it has to come. */
const requestTimeoutMs = 300_000;
/** Envoy's own limits; beyond them it answers 431. They are written so that no other Envoy has others. */
const maxHeaders = 100;
const maxHeadersKb = 60;
/** Streams that one HTTP/2 connection may have at once: more than a browser opens, fewer than a flood. */
const maxStreams = 100;
/** Bytes of a body that one connection may hold back for filters that read it whole, and for copies. */
const maxBufferedBytes = 1 << 20;

/** How the connection manager of an edge reads requests, and what it believes of them. */
export function edgeManager(edge: EdgeOptions = {}) {
  const { trustedHops = 0 } = edge;
  const wait = { ...edgeDefaults, ...edge };
  return {
    useRemoteAddress: true,
    xffNumTrustedHops: trustedHops,
    internalAddressConfig: noOneInternal,
    earlyHeaderMutationExtensions: [withoutClaims(edge)],
    stripPortMode: { case: "stripAnyHostPort", value: true },
    stripTrailingHostDot: true,
    normalizePath: true,
    mergeSlashes: true,
    // Pods decode "%2F" themselves: kept as it is, it would be one path for the limits and another one
    // there. Refused, it would take names of models such as org%2Fmodel away from OpenAI's clients.
    pathWithEscapedSlashesAction: EscapedSlashes.UNESCAPE_AND_FORWARD,
    maxRequestHeadersKb: maxHeadersKb,
    commonHttpProtocolOptions: {
      idleTimeout: milliseconds(wait.idleTimeoutMs),
      maxHeadersCount: maxHeaders,
      // Many programs read x_user_id and x-user-id as one name; dropped, it could be the caller's key.
      headersWithUnderscoresAction: Underscores.REJECT_REQUEST,
    },
    http2ProtocolOptions: {
      maxConcurrentStreams: maxStreams,
      initialStreamWindowSize: 1 << 16,
      initialConnectionWindowSize: maxBufferedBytes,
    },
    // Old health checks and proxies speak it; Envoy refuses it by itself.
    httpProtocolOptions: { acceptHttp10: true },
    upgradeConfigs: [{ upgradeType: "websocket" }],
    requestHeadersTimeout: milliseconds(wait.headersTimeoutMs),
    requestTimeout: milliseconds(requestTimeoutMs),
    streamIdleTimeout: milliseconds(wait.streamIdleTimeoutMs),
    localReplyConfig: { mappers: [withoutReason] },
    accessLog: accessLogs(edge),
    ...(edge.traces ? { tracing: tracing(edge.traces) } : {}),
  } satisfies ManagerInit;
}

/** How the listener of an edge takes connections. */
export function edgeListener({ proxyProtocol }: EdgeOptions = {}) {
  const value = pack(ProxyProtocolSchema, {});
  return {
    perConnectionBufferLimitBytes: maxBufferedBytes,
    // Detects clients that vanished without closing, so that their streams release their slots.
    tcpKeepalive: { keepaliveTime: 60, keepaliveInterval: 15, keepaliveProbes: 4 },
    listenerFilters: proxyProtocol
      ? [
          {
            name: "envoy.filters.listener.proxy_protocol",
            configType: { case: "typedConfig", value },
          },
        ]
      : [],
  } satisfies ListenerInit;
}

/** How a connection of an edge begins: TLS is done with in the time of a request's headers. */
export function edgeFilterChain({ tls, headersTimeoutMs }: EdgeOptions = {}) {
  if (tls === undefined) return {};
  return {
    transportSocket: gatewayTransportSocket(tls),
    transportSocketConnectTimeout: milliseconds(headersTimeoutMs ?? edgeDefaults.headersTimeoutMs),
  } satisfies MessageInitShape<typeof FilterChainSchema>;
}

/**
 * Whoever is internal to Envoy sets retries and timeouts by headers, and behind a balancer
 * every client has an address of the house. An empty list would mean Envoy's own, of all
 * private networks; no one speaks from this one.
 */
const noOneInternal = {
  unixSockets: false,
  cidrRanges: [{ addressPrefix: "255.255.255.255", prefixLen: 32 }],
};

/** Context of a trace (W3C), by which the one in front decides what is traced. */
const traceContext = ["traceparent", "tracestate"];

/**
 * In Envoy's own names only Envoy speaks: not each of them is removed by what makes a client
 * external. The filters remove the claims of what only Weir may set, but not from requests that
 * they refuse: a log or a span would show a claim as the tenant. Where no proxy in front is
 * trusted, a client must not have all of its requests traced.
 */
function withoutClaims({ accessLog, traces, trustedHops = 0 }: EdgeOptions) {
  const removed = (matchPattern: { case: "prefix" | "exact"; value: string }) => ({
    action: { case: "removeOnMatch" as const, value: { keyMatcher: { matchPattern } } },
  });
  return {
    name: "envoy.http.early_header_mutation.header_mutation",
    typedConfig: pack(HeaderMutationSchema, {
      mutations: [
        removed({ case: "prefix", value: "x-envoy-" }),
        ...[
          ...(accessLog === undefined && traces === undefined ? [] : controlHeaders),
          ...(traces && trustedHops === 0 ? traceContext : []),
        ].map((value) => removed({ case: "exact", value })),
      ],
    }),
  };
}

/** Envoy tells clients why it could not reach a pod, with words of its TLS library and the kernel. */
const withoutReason: NonNullable<NonNullable<ManagerInit["localReplyConfig"]>["mappers"]>[number] =
  {
    filter: {
      filterSpecifier: { case: "responseFlagFilter", value: { flags: ["UF", "UC", "UR", "LR"] } },
    },
    body: { specifier: { case: "inlineString", value: "no answer from the pod\n" } },
  };
