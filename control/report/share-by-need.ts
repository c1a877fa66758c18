/**
 * Splits a rate among those who need it. While there is enough, each gets what
 * it needs and an equal part of the rest, so that a burst finds room anywhere;
 * when there is not, each gets in proportion to its need, so that a tenant meets
 * the same share of refusals at every proxy. The parts sum to the rate.
 */
export function splitByNeed(rate: number, needs: readonly number[]): number[] {
  const sum = needs.reduce((total, need) => total + need, 0);
  if (sum > rate) return needs.map((need) => (rate * need) / sum);
  const rest = (rate - sum) / needs.length;
  return needs.map((need) => need + rest);
}
