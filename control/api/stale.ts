import type { Interceptor } from "@connectrpc/connect";
import { may } from "../auth/index.ts";
import type { Store } from "../store/index.ts";
import { principal } from "./access.ts";

/** Response header of answers that were read from a copy of the store: the time of the copy. */
export const staleHeader = "weir-stale-since";
/** Header of answers while proxies are sent nothing, with the reason. */
const holdHeader = "weir-holding";

/** Header of answers while keys of the store are damaged: as many of them as a header bears. */
const damagedHeader = "weir-store-damaged";
const maxShown = 20;

/** Adds {@link staleHeader} to every answer while the store cannot be read and proxies are sent nothing. */
export function staleInterceptor(
  store: Pick<Store, "staleSince" | "damaged">,
  holds: () => string | undefined,
): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    const since = store.staleSince?.();
    if (since) response.header.set(staleHeader, since.toISOString());
    const damaged = [...(store.damaged?.().keys() ?? [])];
    // Keys hold names of all namespaces.
    if (damaged.length > 0 && may(principal(), "viewer", "*"))
      response.header.set(damagedHeader, encodeURI(damaged.slice(0, maxShown).join(" ")));
    const reason = holds();
    // Proxies choose the names in it, and a header allows only some characters.
    if (reason) response.header.set(holdHeader, encodeURI(reason));
    return response;
  };
}
