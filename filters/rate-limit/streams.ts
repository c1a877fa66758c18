import { nowNs } from "../sdk";
import { logAway } from "./fleet";

export { readAnswer } from "./answer";
export { readLeases, reportNeeds } from "./fleet";

import { estimateFlows } from "./estimate";
import { sampleFlows } from "./flow";
import { endSlot } from "./slots";

/** Frees what a stream took; for streams that took nothing and for root contexts it does nothing. */
export function endStream(context: u32): void {
  endSlot(context);
}

/** Measures and says what changed; call it after each tick. */
export function onStreamsTick(): void {
  logAway();
  const now = nowNs();
  estimateFlows(now);
  sampleFlows(now);
}
