import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

// The bounds of the suite are bounds on what the control service does, and the
// machine is shared. So time counts only while the service could have worked: not
// while it is down because the suite ended it, not while its thread waited for a
// core that others had (the kernel counts that, /proc/PID/schedstat), not while
// the suite itself was late. A service that spins or sleeps is given no such time.

/** What happened between two looks. */
export interface Tick {
  /** Time since the last look. */
  wallMs: number;
  /** Part of it by which the look came too late. */
  lateMs: number;
  /** How long the service's main thread waited for a core. */
  waitedMs: number;
  /** Whether the service was there all along. */
  up: boolean;
}

/** Milliseconds of a tick in which the service could have worked. */
export function fairMs({ wallMs, lateMs, waitedMs, up }: Tick): number {
  return up ? Math.max(0, wallMs - lateMs - waitedMs) : 0;
}

/** A clock that stands still while nothing can be asked of the service. */
export interface FairClock {
  /** Fair time since the clock started. */
  ms(): number;
  /** Time that was not counted although the service was up. */
  stalledMs(): number;
  close(): void;
}

/** The service as the clock sees it; pid 0 while it is down. */
export interface Watched {
  pid(): number;
  isUp(): boolean;
}

const lookMs = 50;
/** A timer is late by so much without anything being wrong. */
const usualMs = 5;

/** How long the main thread of a process has waited for a core; undefined when it is gone. */
export function waitedMs(pid: number): number | undefined {
  try {
    const [, waitedNs] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
    return Number(waitedNs) / 1e6;
  } catch {
    return undefined;
  }
}

export function startFairClock(service: Watched): FairClock {
  let fair = 0;
  let stalled = 0;
  let last = performance.now();
  let before = { pid: 0, waited: 0 };
  const timer = setInterval(() => {
    const now = performance.now();
    const wallMs = now - last;
    last = now;
    const pid = service.pid();
    const waited = waitedMs(pid) ?? 0;
    const up = service.isUp() && pid === before.pid;
    const tick = {
      wallMs,
      lateMs: Math.max(0, wallMs - lookMs - usualMs),
      waitedMs: up ? waited - before.waited : 0,
      up,
    };
    before = { pid, waited };
    const counted = fairMs(tick);
    fair += counted;
    if (up) stalled += wallMs - counted;
  }, lookMs);
  return { ms: () => fair, stalledMs: () => stalled, close: () => clearInterval(timer) };
}

/** A busy machine makes a pause so many times longer, at the most. */
const maxStretch = 6;

/** Waits until so much fair time has passed. */
export async function pass(clock: FairClock, ms: number): Promise<void> {
  const untilMs = clock.ms() + ms;
  const deadline = performance.now() + ms * maxStretch;
  while (clock.ms() < untilMs && performance.now() < deadline) await sleep(lookMs);
}
