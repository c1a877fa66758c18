import { during, type Observation } from "../../report/index.ts";
import type { ShareAgreement } from "../../route/index.ts";

/** Follows whether the requests are split as a step wants it, from the moment the proxies run it. */
export type Split = (
  now: Observation,
  shareOf: (since: Observation) => ShareAgreement,
) => ShareAgreement;

/** So many requests clear a doubt, whatever it rested on. */
const maxNeeded = 2_000;

/**
 * Workers of a proxy tell what they counted up to a second late: requests that the step
 * before has split are reported when the proxy runs this one. Where the share does not agree
 * it is therefore counted anew, and only as many requests as the doubt rested on, and which
 * agree, clear it. At 100 % a handful of late ones would otherwise never be outweighed.
 * @param mark what was known when the proxies ran the step
 */
export function createSplit(mark: Observation): Split {
  let from = mark;
  let doubt: ShareAgreement | undefined;
  return (now, shareOf) => {
    const share = shareOf(during(from, now));
    if (!share.agrees) {
      doubt = share;
      from = now;
      return share;
    }
    if (doubt && share.requests < Math.min(doubt.requests, maxNeeded)) return doubt;
    doubt = undefined;
    return share;
  };
}
