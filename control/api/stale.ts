import type { Interceptor } from "@connectrpc/connect";

/** Header of answers that were read from a copy, with the time the copy is of. */
export const staleHeader = "weir-stale-since";

/** Says so in every answer that the store could not be asked for. */
export function staleInterceptor(staleSince: () => Date | undefined): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    const since = staleSince();
    if (since) response.header.set(staleHeader, since.toISOString());
    return response;
  };
}
