import { hasEnded } from "../rollout/index.ts";
import { sameButWeights, sameRoute } from "../route/index.ts";
import { StaleEtagError, type Store } from "../store/index.ts";
import type { Held, Routes } from "./edition.ts";

/** Replaces a proxy's message in the audit when its readers may not see all its namespaces. */
const withheld = "its message is shown only to viewers of all its namespaces (weir proxies)";

/** The write that is taken back is among the newest of its route. */
const newestEntries = 20;

/**
 * Takes back shifts that a proxy refused, each once, and only where that moves
 * weights; what else was changed waits for its author, and what a rollout moves
 * for the rollout. What was taken back is never taken back again.
 * @param refused the states that were refused
 * @param mayQuote whether who reads the audit of a route may read what the proxy says
 */
export async function takeBack(
  store: Store,
  held: ReadonlyMap<string, Held>,
  refused: Routes,
  mayQuote: (name: string) => boolean,
): Promise<void> {
  for (const [name, { instead, etag, refusal }] of held) {
    const after = refused.get(name);
    if (instead?.route === undefined || after === undefined) continue;
    if (!sameButWeights(instead.route, after.route) || sameRoute(instead.route, after.route))
      continue;
    const rollout = await store.getRollout(name);
    if (rollout && !hasEnded(rollout)) continue;
    const entries = await store.audit(name, newestEntries);
    const write = entries.find((entry) => entry.after);
    // Whatever replica refuses it: what Weir wrote by itself causes no write.
    if (write?.after?.etag !== etag || write.action === "take-back") continue;
    const { node, type, message } = refusal;
    try {
      await store.put(name, { route: instead.route, buckets: instead.buckets }, etag, "take-back", {
        principal: "weir",
        reason: `${node} refused ${type}: ${mayQuote(name) ? message : withheld}`,
      });
    } catch (error) {
      // Someone else changed it meanwhile, or another replica took it back: theirs is pushed next.
      if (!(error instanceof StaleEtagError)) throw error;
    }
  }
}
