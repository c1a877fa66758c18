import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Connections, ConnectionsSchema, type RouteSpec } from "../gen/weir/v1/route_pb.ts";

/** How an inference server ends connections that a proxy would go on using. */
export interface ServerConnections {
  /** Milliseconds without a request after which it closes one; absent: it never does. */
  idleMs?: number;
  /** Whether it closes some connections after a response without announcing it in a header. */
  closesAfterAnswers?: true;
}

/** Most servers in Python stand on uvicorn, whose keep-alive is 5 s. */
const uvicorn: ServerConnections = { idleMs: 5_000 };

/** By the names that spec.server takes. */
const servers: Record<string, ServerConnections> = {
  vllm: uvicorn,
  sglang: uvicorn,
  infinity: uvicorn,
  "llama.cpp": { idleMs: 5_000, closesAfterAnswers: true },
  // In Rust, Go and C: they close nothing by themselves.
  tgi: {},
  ollama: {},
  triton: {},
};

/**
 * How the server of a route's pods ends connections. A server that is not named counts as one of
 * uvicorn's, which closes idle connections after 5 seconds.
 */
export function serverConnections({ server }: RouteSpec): ServerConnections {
  return servers[server] ?? uvicorn;
}

/** A request may leave while the server's end of the connection is under way: the proxy has to be the first. */
const idleTimeoutMs = 4_000;

/**
 * The connections to a route's pods: what it asks for, and where it does not, what keeps a request
 * from going out on a connection that the server is about to close. Envoy could only try such a
 * request again, without knowing whether it had begun to run.
 */
export function connectionsOf(spec: RouteSpec): Connections {
  const asked = spec.resilience?.connections;
  const init: MessageInitShape<typeof ConnectionsSchema> = { ...asked };
  // In HTTP/2 a server announces with GOAWAY that it takes no more requests.
  if (asked?.http2) return create(ConnectionsSchema, init);
  return create(ConnectionsSchema, {
    ...init,
    idleTimeout: asked?.idleTimeout ?? durationFromMs(idleTimeoutMs),
    maxRequestsPerConnection:
      asked?.maxRequestsPerConnection ??
      (serverConnections(spec).closesAfterAnswers ? 1 : undefined),
  });
}
