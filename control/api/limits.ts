import type { IncomingHttpHeaders } from "node:http";

/** A call that asks for more time gets this much: an hour, as watches are calls too. */
const maxTimeoutMs = 3_600_000;

const grpcUnitsMs: Record<string, number> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Lowers a deadline that is longer than the longest allowed one to it, in place. A header that is
 * no deadline is left for the protocol to refuse.
 */
export function clampTimeout(headers: IncomingHttpHeaders): void {
  const connect = headers["connect-timeout-ms"];
  if (typeof connect === "string" && /^\d+$/.test(connect) && Number(connect) > maxTimeoutMs)
    headers["connect-timeout-ms"] = String(maxTimeoutMs);
  const match = /^(\d+)([HMSmun])$/.exec(String(headers["grpc-timeout"] ?? ""));
  if (match && Number(match[1]) * (grpcUnitsMs[match[2] ?? ""] ?? 0) > maxTimeoutMs)
    headers["grpc-timeout"] = `${maxTimeoutMs}m`;
}

/** How much one principal may take of something, as time goes by. */
export interface Rate {
  /** Whether one more is within the rate; then it is taken. */
  admits(principal: string): boolean;
  /** Takes so much, whether it is within the rate or not: what is beyond is owed. */
  charge(principal: string, amount: number): void;
  /** How long until a principal has nothing left to owe beyond the burst, ms; 0: it is within the rate. */
  waitMs(principal: string): number;
}

/** Maximum number of principals; the one used longest ago is dropped. */
const maxPrincipals = 10_000;

/**
 * Makes a limit of how much each principal may take.
 * @param perSecond sustained rate of each principal
 * @param burstMs what may be taken at once, as the milliseconds in which the rate gives that much
 */
export function createRate(
  perSecond: number,
  monotonicMs: () => number = () => performance.now(),
  burstMs = 2000,
): Rate {
  // The time at which what a principal took so far will have been paid for (GCRA).
  const paidUntil = new Map<string, number>();
  const oneMs = 1000 / perSecond;
  const after = (principal: string, amount: number) =>
    Math.max(monotonicMs(), paidUntil.get(principal) ?? 0) + amount * oneMs;
  const take = (principal: string, until: number) => {
    paidUntil.delete(principal);
    paidUntil.set(principal, until);
    const oldest = paidUntil.keys().next();
    if (paidUntil.size > maxPrincipals && !oldest.done) paidUntil.delete(oldest.value);
  };
  return {
    admits(principal) {
      const until = after(principal, 1);
      if (until - monotonicMs() > burstMs) return false;
      take(principal, until);
      return true;
    },
    charge: (principal, amount) => take(principal, after(principal, amount)),
    waitMs: (principal) => Math.max(0, after(principal, 0) - monotonicMs() - burstMs),
  };
}
