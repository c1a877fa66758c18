import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { EndpointService } from "../gen/weir/v1/endpoint_pb.ts";
import { PeerService } from "../gen/weir/v1/peer_pb.ts";
import { ReportService } from "../gen/weir/v1/report_pb.ts";
import { RolloutService } from "../gen/weir/v1/rollout_pb.ts";
import { AuditService, FleetService, RouteService } from "../gen/weir/v1/service_pb.ts";
import { SignalService } from "../gen/weir/v1/signals_pb.ts";
import type { ApiContext } from "./context.ts";
import { createEndpointService } from "./endpoint-service.ts";
import { toConnectError } from "./errors.ts";
import { createAuditService, createFleetService } from "./fleet-service.ts";
import { createPeerService } from "./peer-service.ts";
import { createReportService } from "./report-service.ts";
import { createRolloutService } from "./rollout-service.ts";
import { createRouteService } from "./route-service.ts";
import { createSignalService } from "./signal-service.ts";

export { accessInterceptor, asPrincipal, roleFor } from "./access.ts";
export { type AppliedContext, appliedIn } from "./applied.ts";
export type { ApiContext, MeshFilters } from "./context.ts";
export { problemsError } from "./errors.ts";
export { guardStore } from "./guarded-store.ts";
export { clampTimeout, createRate } from "./limits.ts";
export { createReportEndpoint } from "./report-endpoint.ts";
export { createReportIntake, type ReportIntake } from "./report-intake.ts";
export { variantsOf } from "./signal-service.ts";
export { staleInterceptor } from "./stale.ts";
export { wholeFleet } from "./whole-fleet.ts";

/** Larger messages are refused before they are read. */
export const maxMessageBytes = 1 << 20;

/** Turns whatever a handler throws into an error that may be shown. */
export const errorInterceptor: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: translated(response.message) } : response;
  } catch (error) {
    throw toConnectError(error);
  }
};

/** What a handler throws while its answer is read. */
async function* translated<Message>(messages: AsyncIterable<Message>): AsyncIterable<Message> {
  try {
    yield* messages;
  } catch (error) {
    throw toConnectError(error);
  }
}

/** Registers all services. */
export function createApi(context: ApiContext): (router: ConnectRouter) => void {
  return (router) => {
    router.service(RouteService, createRouteService(context));
    router.service(RolloutService, createRolloutService(context));
    router.service(FleetService, createFleetService(context));
    router.service(AuditService, createAuditService(context));
    router.service(ReportService, createReportService(context));
    router.service(PeerService, createPeerService(context));
    router.service(EndpointService, createEndpointService(context));
    router.service(SignalService, createSignalService(context));
  };
}
