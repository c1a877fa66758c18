import { isText, Text } from "../sdk";

/** Message TokenTier. */
@unmanaged
export class Tier {
  next: usize;
  name: Text;
  /** Its place among the tiers, from 1. */
  number: i32;
  /** Whether tokensPerMinute holds; without it tokens are only counted. */
  limited: bool;
  tokensPerMinute: u64;
  /** Limit on requests that clients are told, which others hold: nanoseconds between them, and how many at once; 0: none. */
  intervalNs: u64;
  burst: u32;
}

/** The tier of that name. */
export function tierNamed(tiers: usize, ptr: usize, bytes: usize): Tier | null {
  for (let at = tiers; at != 0; at = changetype<Tier>(at).next)
    if (isText(changetype<Tier>(at).name, ptr, bytes)) return changetype<Tier>(at);
  return null;
}
