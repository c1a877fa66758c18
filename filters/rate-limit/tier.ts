import { isText, Metric, Text } from "../sdk";

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
  /** Requests in flight per tenant; NO_LIMIT where there is none. */
  concurrent: i32;
  admitted: Metric;
  refused: Metric;
  refusedConcurrent: Metric;
}

/** The tier of that name, or 0. */
export function tierNamed(tiers: usize, ptr: usize, bytes: usize): usize {
  for (let at = tiers; at != 0; at = changetype<Tier>(at).next)
    if (isText(changetype<Tier>(at).name, ptr, bytes)) return at;
  return 0;
}
