import type { Proxy } from "../gen/weir/v1/service_pb.ts";
import { principalView, sameFleet, visibleFleet } from "./visible.ts";

/** The fleet as those who watch it see it: made once for all who may see the same. */
export interface FleetViews {
  /** What the principal of the request sees now; the same object as long as its content is equal. */
  current(): Promise<readonly Proxy[]>;
  /** Something changed: what was made is looked at no more. */
  change(): void;
}

/** How long a view stays valid without an event. */
const freshMs = 1_000;

export function createFleetViews(
  context: Parameters<typeof visibleFleet>[0],
  nowMs: () => number = () => performance.now(),
): FleetViews {
  let made = new Map<string, Promise<readonly Proxy[]>>();
  let before = new Map<string, Promise<readonly Proxy[]>>();
  let sinceMs = nowMs();

  function change(): void {
    if (made.size === 0) return;
    // A view that is not requested between two changes is dropped.
    before = made;
    made = new Map();
  }

  async function make(known: Promise<readonly Proxy[]> | undefined): Promise<readonly Proxy[]> {
    const [proxies, sent] = await Promise.all([
      visibleFleet(context),
      known?.catch(() => undefined),
    ]);
    // What changed may be nothing that is seen here.
    return sent && sameFleet(sent, proxies) ? sent : proxies;
  }

  return {
    current() {
      if (nowMs() - sinceMs > freshMs) change();
      if (made.size === 0) sinceMs = nowMs();
      const view = principalView();
      const known = made.get(view) ?? make(before.get(view));
      made.set(view, known);
      // The next call tries again what failed.
      known.catch(() => made.delete(view));
      return known;
    },
    change,
  };
}
