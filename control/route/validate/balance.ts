import type { Resilience } from "../../gen/weir/v1/route_pb.ts";
import type { Report } from "../problem.ts";

/** Checks load balancing. */
export function checkBalance({ balance, warmup }: Resilience, report: Report): void {
  const path = "spec.resilience";
  const policy = balance?.policy || "least-request";
  const hash = balance?.hash;
  if ((policy === "consistent-hash") !== (hash !== undefined))
    report(
      "balance-hash",
      `${path}.balance`,
      policy === "consistent-hash"
        ? "policy consistent-hash needs hash, which names the key"
        : `hash has no effect with policy ${policy}: use consistent-hash`,
    );
  if (warmup && policy !== "least-request" && policy !== "round-robin")
    report(
      "warmup-policy",
      `${path}.warmup`,
      `warmup works with least-request and round-robin, not with ${policy}`,
    );
  if (hash === undefined) return;
  if (hash.ringSize !== undefined && hash.maglevTableSize !== undefined)
    report(
      "one-of",
      `${path}.balance.hash`,
      "hash must have at most one of ringSize, maglevTableSize",
    );
  if (hash.maglevTableSize !== undefined && !isPrime(hash.maglevTableSize))
    report(
      "not-prime",
      `${path}.balance.hash.maglevTableSize`,
      `maglevTableSize must be a prime, not ${hash.maglevTableSize}`,
    );
}

function isPrime(value: number): boolean {
  if (value < 4) return value > 1;
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
}
