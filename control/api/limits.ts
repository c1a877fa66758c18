import type { IncomingHttpHeaders } from "node:http";

/** A call that asks for more time gets this much: an hour, as watches are calls too. */
export const longestTimeoutMs = 3_600_000;

const grpcUnitsMs: Record<string, number> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Cuts a deadline beyond the longest down to it, in place. What is no deadline
 * at all is left for the protocol to refuse.
 */
export function clampTimeout(headers: IncomingHttpHeaders): void {
  const connect = headers["connect-timeout-ms"];
  if (typeof connect === "string" && /^\d+$/.test(connect) && Number(connect) > longestTimeoutMs)
    headers["connect-timeout-ms"] = String(longestTimeoutMs);
  const match = /^(\d+)([HMSmun])$/.exec(String(headers["grpc-timeout"] ?? ""));
  if (match && Number(match[1]) * (grpcUnitsMs[match[2] ?? ""] ?? 0) > longestTimeoutMs)
    headers["grpc-timeout"] = `${longestTimeoutMs}m`;
}

/** How many calls one principal may make; the burst is twice the rate. */
export interface Rate {
  /** Whether one more call is within the rate. */
  admits(principal: string): boolean;
}

/** More principals than this are not told apart: the one asked about longest ago is forgotten. */
const mostPrincipals = 10_000;

/** @param perSecond calls that each principal may make for ever */
export function createRate(
  perSecond: number,
  monotonicMs: () => number = () => performance.now(),
): Rate {
  // The time at which a principal's calls so far will have been paid for (GCRA).
  const paidUntil = new Map<string, number>();
  const costMs = 1000 / perSecond;
  const burstMs = 2000;
  return {
    admits(principal) {
      const now = monotonicMs();
      const until = Math.max(now, paidUntil.get(principal) ?? 0) + costMs;
      if (until - now > burstMs) return false;
      paidUntil.delete(principal);
      paidUntil.set(principal, until);
      const oldest = paidUntil.keys().next();
      if (paidUntil.size > mostPrincipals && !oldest.done) paidUntil.delete(oldest.value);
      return true;
    },
  };
}
