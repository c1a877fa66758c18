import { Counter } from "../../report";
import { EXTENDED, isText, Text } from "../../sdk";

/** Message Tier, with what follows from it. */
@unmanaged
export class Tier {
  next: usize;
  name: Text;
  /** Nanoseconds between requests at the sustained rate; 0 refuses all. */
  intervalNs: u64;
  /** Nanoseconds of requests that may come at once. */
  windowNs: u64;
  burst: u32;
  /** Of fleet-wide limits the interval of a proxy that no share is assigned to; else 0. */
  startNs: u64;
  /** Requests in flight per tenant; NO_LIMIT where there is none. */
  concurrent: i32;
  /** Weight under overload, as the policy has it and against the smallest one in it. */
  priority: u32;
  weight: f64;
  /** Requests of it that may pass under overload, a fraction saved up for the next. */
  credit: f64;
  /** What inference schedulers know the tier by. */
  objective: Text;
  /** Whether its tenants may not use the route at all. */
  forbidden: bool;
  admitted: Counter;
  refused: Counter;
  refusedConcurrent: Counter;
  refusedOverload: Counter;
  refusedForbidden: Counter;
}

/** The tier of that name. */
export function tierNamed(tiers: usize, ptr: usize, bytes: usize): Tier | null {
  for (let at = tiers; at != 0; at = changetype<Tier>(at).next)
    if (isText(changetype<Tier>(at).name, ptr, bytes)) return changetype<Tier>(at);
  return null;
}

/** Whether the limit holds for all proxies together, of which this one has a share. */
export function isFleetWide(tier: Tier): bool {
  return EXTENDED && tier.startNs != 0;
}
