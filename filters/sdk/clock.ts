import { proxy_get_current_time_nanoseconds, proxy_set_tick_period_milliseconds } from "./env";
import { outPtr } from "./memory";
import { OK } from "./status";

let last: u64 = 0;

/** Wall-clock time in nanoseconds; the last known time when the host cannot tell. It may go backwards. */
export function nowNs(): u64 {
  if (proxy_get_current_time_nanoseconds(outPtr) == OK) last = load<u64>(outPtr);
  return last;
}

/** Asks for proxy_on_tick of the current root context; 0 stops it. */
export function setTick(periodMs: u32): void {
  proxy_set_tick_period_milliseconds(periodMs);
}
