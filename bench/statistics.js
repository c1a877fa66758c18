/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** The value below which a share of the values lies. @param {readonly number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/**
 * A statistic of rounds with its 95 % bootstrap interval: rounds are drawn
 * again as a whole, so what drifts from round to round stays paired.
 * @template Round
 * @param {readonly Round[]} rounds
 * @param {(rounds: readonly Round[]) => number} statistic
 */
export function interval(rounds, statistic, draws = 2000) {
  const drawn = Array.from({ length: draws }, () =>
    statistic(
      Array.from(
        rounds,
        () => /** @type {Round} */ (rounds[Math.floor(Math.random() * rounds.length)]),
      ),
    ),
  ).sort((a, b) => a - b);
  return {
    value: statistic(rounds),
    low: drawn[Math.floor(draws * 0.025)] ?? 0,
    high: drawn[Math.floor(draws * 0.975)] ?? 0,
  };
}

/** @param {{ value: number, low: number, high: number }} figure */
export function show({ value, low, high }, digits = 2) {
  return `${value.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}
