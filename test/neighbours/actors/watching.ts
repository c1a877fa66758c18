import { setTimeout as sleep } from "node:timers/promises";
import { routeName } from "../../../control/route/index.ts";
import type { ApiClients } from "../../api/clients.ts";
import type { Writes } from "../invariants/writes.ts";
import { absent, type States } from "../states.ts";
import type { Writing } from "./writing.ts";

/** Newest entries that are asked for first; ten times as many when that was too few. */
const fewEntries = 60;
const maxEntries = 10_000;

/** Reads what of the audit is new. @throws ConnectError while the service is away */
export async function readAudit(calls: ApiClients, writes: Writes): Promise<number> {
  const last = writes.lastSequence();
  for (let limit = fewEntries; ; limit = Math.min(limit * 10, maxEntries)) {
    const { entries } = await calls.audit.listAudit({ limit });
    const oldest = entries.at(-1)?.sequence ?? 0n;
    const complete = oldest <= last + 1n || entries.length < limit || limit === maxEntries;
    if (!complete) continue;
    const fresh = entries.filter(({ sequence }) => sequence > last).reverse();
    for (const entry of fresh) writes.entry(entry);
    return fresh.length;
  }
}

export interface WatchingOptions {
  calls: ApiClients;
  writes: Writes;
  writing: Writing;
  states: States;
  answered(): void;
}

const lookMs = 300;
const auditEvery = 4;

/** Looks at the routes and the audit all the time, as what people see. */
export function startWatching({ calls, writes, writing, states, answered }: WatchingOptions) {
  const missing = new Map<string, number>();
  let over = false;
  const looking = (async () => {
    for (let look = 0; !over; look++) {
      await once(look % auditEvery === 0).catch(() => {
        // No answer: how long that may last is looked at elsewhere.
      });
      await sleep(lookMs);
    }
  })();

  async function once(withAudit: boolean): Promise<void> {
    const { routes } = await calls.routes.listRoutes({});
    answered();
    for (const { state } of routes) writing.saw(state, "as it was read");
    const there = new Set(
      routes.flatMap(({ state }) => (state?.route ? routeName(state.route) : [])),
    );
    for (const route of states.routes()) {
      const latest = states.latest(route);
      if (latest === undefined || latest.print === absent || there.has(route))
        missing.delete(route);
      // Missed twice in the same state: a delete whose answer was lost, not a create on its way.
      else if (missing.get(route) === latest.order) writing.gone(route, String(latest.order));
      else missing.set(route, latest.order);
    }
    if (withAudit) await readAudit(calls, writes);
  }

  return {
    async stop() {
      over = true;
      await looking;
    },
  };
}

/** Etags as they are stored. */
export async function storedEtags(calls: ApiClients): Promise<Map<string, string>> {
  const { routes } = await calls.routes.listRoutes({});
  return new Map(
    routes.flatMap(({ state }) => (state?.route ? [[routeName(state.route), state.etag]] : [])),
  );
}
