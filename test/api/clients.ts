import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { EndpointService } from "../../control/gen/weir/v1/endpoint_pb.ts";
import { RolloutService } from "../../control/gen/weir/v1/rollout_pb.ts";
import { AuditService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { SignalService } from "../../control/gen/weir/v1/signals_pb.ts";

/** What tests ask of a control service: routes, rollouts, the audit of both, and pods that register. */
export interface ApiClients {
  routes: Client<typeof RouteService>;
  rollouts: Client<typeof RolloutService>;
  audit: Client<typeof AuditService>;
  endpoints: Client<typeof EndpointService>;
  signals: Client<typeof SignalService>;
}

export interface ApiClientOptions {
  /** Bearer token. */
  token?: string;
  /** Of each call; absent: as long as it takes. */
  timeoutMs?: number;
}

/** Clients of the service at a URL, in clear text. */
export function clientsOf(
  baseUrl: string,
  { token, timeoutMs }: ApiClientOptions = {},
): ApiClients {
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    ...(timeoutMs === undefined ? {} : { defaultTimeoutMs: timeoutMs }),
    interceptors: [
      (next) => (request) => {
        if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return {
    routes: createClient(RouteService, transport),
    rollouts: createClient(RolloutService, transport),
    audit: createClient(AuditService, transport),
    endpoints: createClient(EndpointService, transport),
    signals: createClient(SignalService, transport),
  };
}
