import type { ApiContext } from "../../control/api/index.ts";
import { anonymous } from "../../control/auth/index.ts";
import { createMetrics } from "../../control/metrics/index.ts";
import { createRequests } from "../../control/service/ports/requests.ts";

/** The API to whom nobody asks who they are, over what a test has of its context. */
export function openRequests(
  context: Partial<ApiContext>,
  goingAway: AbortSignal,
): ReturnType<typeof createRequests> {
  return createRequests({
    gate: { guarded: false, authenticate: async () => ({ principal: anonymous }) },
    allowedHosts: [],
    context: { loads: {}, ...context } as ApiContext,
    metrics: createMetrics([]),
    startsWith: () => undefined,
    store: {},
    holds: () => undefined,
    interceptors: [],
    goingAway,
    log: () => {},
  });
}
