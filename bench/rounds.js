import { interval, median, show } from "./statistics.js";

/**
 * Measures arms in turn, in reverse order every other round: what drifts weighs on all of them alike.
 * @template {{ name: string }} Arm
 * @param {number} rounds
 * @param {readonly Arm[]} arms
 * @param {(arm: Arm) => Promise<number>} measure
 * @returns {Promise<Record<string, number>[]>} by round and arm
 */
export async function inTurn(rounds, arms, measure) {
  /** @type {Record<string, number>[]} */
  const measured = [];
  for (let round = 0; round < rounds; round++) {
    /** @type {Record<string, number>} */
    const figures = {};
    for (const arm of round % 2 ? [...arms].reverse() : arms)
      figures[arm.name] = await measure(arm);
    measured.push(figures);
  }
  return measured;
}

/**
 * The median of an arm with its interval; of what it adds, each round against the floor's.
 * @param {readonly Record<string, number>[]} measured
 * @param {string} name
 * @param {string} [floor]
 */
export function medianOf(measured, name, floor) {
  return show(
    interval(measured, (drawn) =>
      median(drawn.map((round) => (round[name] ?? 0) - (floor ? (round[floor] ?? 0) : 0))),
    ),
  );
}
