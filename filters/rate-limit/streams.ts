import { nowNs } from "../sdk";
import { sampleFlows } from "./flow";
import { endSlot } from "./slots";

/** Frees what a stream took; for streams that took nothing and for root contexts it does nothing. */
export function endStream(context: u32): void {
  endSlot(context);
}

/** Measures; call it on each tick. */
export function onStreamsTick(): void {
  sampleFlows(nowNs());
}
