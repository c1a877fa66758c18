import { workerOpen } from "./worker";

// What a request may cost beyond its answer: compression and copies are left out
// first when the pods or this worker cannot keep up.

/** Below this part the optional is left out altogether, where it is yes or no. */
const PRESSED: f64 = 0.9;

let podsOpen: f64 = 1;

/** Notes how much the pods of the request's route can take, 1: all of it. */
export function notePods(open: f64): void {
  podsOpen = open;
}

/** Whether the pods or the worker are saturated. */
export function isPressed(): bool {
  return min(podsOpen, workerOpen()) < PRESSED;
}

/** A share, of 10,000, eased by the pressure: its square falls sooner than the tiers' share does. */
export function eased(share: u32): u32 {
  const open = min(podsOpen, workerOpen());
  return <u32>(<f64>share * open * open);
}
