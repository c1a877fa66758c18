import type { RouteState } from "../gen/weir/v1/service_pb.ts";

/** What a write of a route stores; the store adds etag and time. */
export type RouteDraft = Pick<RouteState, "route" | "buckets">;
