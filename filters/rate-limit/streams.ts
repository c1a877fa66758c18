import { nowNs } from "../sdk";
import { logAway } from "./fleet/fleet";

export { readAnswer } from "./answer";
export { readLeases, reportNeeds } from "./fleet/fleet";

import { endSlot } from "./concurrency/stream-table";
import { sampleFlows } from "./in-flight/flow";
import { estimateFlows } from "./overload/estimate";

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
