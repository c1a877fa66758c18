/**
 * Distances, in log-odds, of the alternatives that the evidence is averaged
 * over: from barely worse to hopeless. A fixed mixture, so that the average is
 * a test martingale as each of its parts is.
 */
const distances = Array.from({ length: 20 }, (_, i) => 0.08 * 1.28 ** i);

/** Part of the average that is given to the one alternative that is expected, where one is. */
const expectedWeight = 0.75;
/** Shares of 0 and 1 leave no room for the first answer that contradicts them. */
const minShare = 1e-4;

/** Where evidence stops being counted: enough for every decision, and finite. */
const maxEvidence = 1e12;

/**
 * Evidence that a share is above (or below) a limit: how much better a mixture of
 * larger (smaller) shares explains `hits` of `trials` than the limit itself does.
 *
 * It is an e-process (Ramdas et al., "Game-theoretic statistics and safe
 * anytime-valid inference"): while the true share is within the limit, the chance
 * that it EVER reaches 1/a is at most a, however often one looks. That is what
 * lets a rollout look every second and stop at the first clear sign.
 *
 * With an `expected` share most of the average is on that one: whoever is as expected is
 * known after hardly more trials than a test needs that knows the share, and nobody
 * else is believed sooner.
 *
 * @param hits may be fractional, where observations count for less than one each
 * @param limit share in (0, 1); outside there is no evidence for either side
 * @param expected share that is expected on this side of the limit; it must not come of the same trials
 */
export function evidence(
  side: "above" | "below",
  hits: number,
  trials: number,
  limit: number,
  expected?: number,
): number {
  if (!(trials > 0) || !(limit > 0 && limit < 1)) return 1;
  const sign = side === "above" ? 1 : -1;
  const odds = Math.log(limit / (1 - limit));
  const misses = Math.max(0, trials - hits);
  const log = (share: number) =>
    hits * Math.log(share / limit) + misses * Math.log((1 - share) / (1 - limit));
  const logs = distances.map((distance) => log(1 / (1 + Math.exp(-(odds + sign * distance)))));
  const mixed = Math.min(maxEvidence, logMean(logs));
  if (expected === undefined || !(sign * (expected - limit) > 0)) return mixed;
  const own = Math.exp(log(Math.min(Math.max(expected, minShare), 1 - minShare)));
  return Math.min(maxEvidence, expectedWeight * own + (1 - expectedWeight) * mixed);
}

/** The mean of numbers given by their logarithms. */
function logMean(logs: readonly number[]): number {
  const top = Math.max(...logs);
  const mean = logs.reduce((sum, log) => sum + Math.exp(log - top), 0) / logs.length;
  return Math.exp(Math.min(top, 700)) * mean;
}

/** Upper bound of a share at `z` standard deviations (Wilson's score interval); a negative `z` gives the lower one. */
export function boundOfShare(hits: number, trials: number, z: number): number {
  if (trials <= 0) return z < 0 ? 0 : 1;
  const share = hits / trials;
  const z2 = z * z;
  const centre = share + z2 / (2 * trials);
  const spread = z * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials * trials));
  return Math.min(1, Math.max(0, (centre + spread) / (1 + z2 / trials)));
}
