import { setTimeout as sleep } from "node:timers/promises";
import type { Leader, Lease, Term } from "./leader.ts";

const closeMs = 2_000;

/**
 * Asks for a lease until it has it, then renews it three times a term, until closed.
 * @param name of this replica
 */
export function createLeader(
  name: string,
  lease: Lease,
  { ttlMs, monotonicMs = () => performance.now() }: Term,
): Leader {
  const stop = new AbortController();
  const listeners = new Set<() => void>();
  let held: { fence: bigint; untilMs: number } | undefined;
  let holder: string | undefined;
  let announced = false;

  // A fifth of the term is kept back: clocks of different machines do not run equally fast.
  const until = (askedMs: number) => askedMs + ttlMs * 0.8;
  const current = () => (held && monotonicMs() < held.untilMs ? { fence: held.fence } : undefined);

  function tell(): void {
    const leads = current() !== undefined;
    if (leads === announced) return;
    announced = leads;
    for (const listener of listeners) listener();
  }

  async function ask(): Promise<void> {
    // The term counts from before the question: the answer may take any time.
    const askedMs = monotonicMs();
    if (held === undefined) {
      const answer = await lease.take();
      if ("holder" in answer) {
        holder = answer.holder || undefined;
      } else {
        held = { fence: answer.fence, untilMs: until(askedMs) };
        holder = name;
      }
    } else if (await lease.renew()) {
      held.untilMs = until(askedMs);
    } else {
      held = undefined;
      holder = undefined;
    }
  }

  async function campaign(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await ask();
      } catch {
        // Nobody answers: what is held runs out by itself, and the next round asks again.
      }
      if (held && current() === undefined) {
        await lease.release().catch(() => {});
        held = undefined;
        holder = undefined;
      }
      tell();
      await waitUntilNext();
    }
  }

  async function waitUntilNext(): Promise<void> {
    const roundMs = ttlMs / 3;
    const leftMs = held ? Math.max(0, held.untilMs - monotonicMs()) : roundMs;
    await sleep(Math.min(roundMs, leftMs), undefined, { signal: stop.signal }).catch(() => {});
    tell();
  }

  const campaigning = campaign();
  return {
    current,
    holder: () => (held && current() === undefined ? undefined : holder),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      stop.abort();
      // A question that is never answered must not keep the process.
      await Promise.race([campaigning, sleep(closeMs)]);
      const had = held !== undefined;
      held = undefined;
      tell();
      if (had) await lease.release().catch(() => {});
    },
  };
}
