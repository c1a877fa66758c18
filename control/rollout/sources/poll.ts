import { causeText } from "../../text/error-text.ts";
/** Keeps the newest answer of something slow, for those who may not wait for it. */
export interface Poll<T> {
  /** The newest answer, and how old it is; asks again when that is due. Undefined before the first. */
  latest(): { value: T; ageMs: number } | undefined;
}

/**
 * @param ask must end by itself when the signal aborts
 * @param everyMs between two questions
 * @param timeoutMs after which a question counts as not answered
 */
export function createPoll<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  onFailure: (error: unknown) => T,
  {
    everyMs,
    timeoutMs,
    monotonicMs,
  }: { everyMs: number; timeoutMs: number; monotonicMs(): number },
): Poll<T> {
  let newest: { value: T; atMs: number } | undefined;
  let askedMs = Number.NEGATIVE_INFINITY;
  let asking = false;

  async function askNow(): Promise<void> {
    asking = true;
    askedMs = monotonicMs();
    let value: T;
    try {
      value = await ask(AbortSignal.timeout(timeoutMs));
    } catch (error) {
      value = onFailure(error);
    }
    newest = { value, atMs: monotonicMs() };
    asking = false;
  }

  return {
    latest() {
      const nowMs = monotonicMs();
      if (!asking && nowMs - askedMs >= everyMs) void askNow();
      return newest && { value: newest.value, ageMs: nowMs - newest.atMs };
    },
  };
}

/** Polls by key, made when first asked for, forgotten when not asked for any more. */
export function createPolls<T>(keptMs: number, monotonicMs: () => number) {
  const polls = new Map<string, { poll: Poll<T>; usedMs: number }>();
  return (key: string, make: () => Poll<T>): Poll<T> => {
    const nowMs = monotonicMs();
    for (const [other, { usedMs }] of polls) if (nowMs - usedMs > keptMs) polls.delete(other);
    const entry = polls.get(key) ?? { poll: make(), usedMs: nowMs };
    entry.usedMs = nowMs;
    polls.set(key, entry);
    return entry.poll;
  };
}

/** A short reason for a failed request. */
export function failureMessage(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "no answer in time";
  return causeText(error);
}
