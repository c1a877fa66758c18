import { nowNs } from "../sdk";

// How busy this worker is. Its event loop runs our tick among everything else, so
// a tick that comes late tells for how long requests wait, too. Lowered at once
// when the loop is late and raised slowly, so that it does not flap:
//
//   open 1 .. 0.01: the part of optional work that the worker still does
const LATE_NS: u64 = 50_000_000;
const PROMPT_NS: u64 = 20_000_000;
const LOWER: f64 = 0.5;
const RAISE: f64 = 1.25;
const LEAST: f64 = 0.01;
/** Without a tick for so many periods, another root context's are followed, or a clock jumped. */
const LOST: u64 = 16;

let open: f64 = 1;
let followed: u32 = 0;
let lastNs: u64 = 0;

/**
 * Call it on each tick, of a known period. Each configuration has ticks of its
 * own; those of the newest are followed.
 */
export function onPressureTick(root: u32, periodNs: u64): void {
  const now = nowNs();
  const known = now >= lastNs && now - lastNs <= periodNs * LOST;
  if (root < followed && known) return;
  const follows = root == followed && known;
  const due = lastNs + periodNs;
  followed = root;
  lastNs = now;
  if (!follows) return;
  const late = now > due ? now - due : 0;
  if (late > LATE_NS) open = max(open * LOWER, LEAST);
  else if (late < PROMPT_NS) open = min(open * RAISE, 1);
}

/** How much of the optional work this worker can do, 1: all of it. */
export function workerOpen(): f64 {
  return open;
}
