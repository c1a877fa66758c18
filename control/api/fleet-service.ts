import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { AuditService, FleetService, Proxy } from "../gen/weir/v1/service_pb.ts";
import { resolveName, routeName } from "../route/index.ts";
import type { ApiContext } from "./context.ts";
import { createFleetViews } from "./fleet-views.ts";
import { visibleFleet } from "./visible.ts";

/** Changes are collected for this long before they are sent. */
const gatherMs = 100;

/** The proxies, listed and watched. */
export function createFleetService(
  context: Pick<ApiContext, "fleet" | "peers" | "mesh" | "scope" | "store">,
): ServiceImpl<typeof FleetService> {
  const { fleet, peers } = context;
  const views = createFleetViews(context);
  return {
    listProxies: async () => ({ proxies: await visibleFleet(context) }),
    async *watchProxies(_request, { signal }) {
      let wake = () => {};
      const change = () => {
        views.change();
        wake();
      };
      const stops = [fleet.onChange(change), peers.onChange(change)];
      const aborted = () => wake();
      signal.addEventListener("abort", aborted);
      let sent: readonly Proxy[] | undefined;
      try {
        while (!signal.aborted) {
          const changed = new Promise<void>((resolve) => {
            wake = resolve;
          });
          const proxies = await views.current();
          if (sent !== proxies) yield { proxies: [...proxies] };
          sent = proxies;
          await changed;
          await sleep(gatherMs, undefined, { signal }).catch(() => {});
        }
      } finally {
        for (const stop of stops) stop();
        signal.removeEventListener("abort", aborted);
      }
    },
  };
}

/** Entries of the audit in one answer. */
const maxEntries = 10_000;

/** The audit. */
export function createAuditService({
  store,
}: Pick<ApiContext, "store">): ServiceImpl<typeof AuditService> {
  return {
    async listAudit({ name: word, limit }) {
      if (limit > maxEntries)
        throw new ConnectError(
          `limit ${limit} is more than the maximum of ${maxEntries} entries`,
          Code.InvalidArgument,
        );
      const names = (await store.list()).routes.flatMap(({ route }) =>
        route ? [routeName(route)] : [],
      );
      const name = word === "" ? "" : resolveName(word, names);
      return { entries: await store.audit(name, limit || 100) };
    },
  };
}
