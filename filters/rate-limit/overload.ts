import {
  CAS_MISMATCH,
  Metric,
  OK,
  readShared,
  setGauge,
  sharedBytes,
  sharedPtr,
  writeShared,
} from "../sdk";
import { Flow } from "./flow";
import { Tier } from "./tier";

// How much of the traffic a route's pods can take just now, the same for all
// workers of the proxy. A number between 0 and 1, `open`, is lowered while the
// pods say that they are saturated and raised while they say that they are not;
// between the two marks it stays, and it also waits while what was done shows,
// for queues need time to empty: so it does not flap. A tier is let in
// with the share open x its weight / the smallest weight: with weights 10, 5
// and 1, bronze goes first, and gold gives up nothing before bronze is down to
// a tenth.
//
// Workers gather what the answers say and hand it on seldom, by compare-and-set
// on one record per route:
//
//   f64 saturation | u64 sampled at | f64 open | u64 last step at | f64 saturation then
const RECORD: usize = 40;
const MOST_TRIES: i32 = 4;

/** A worker hands on what it gathered this often, and reads what others did. */
const SHARE_NS: u64 = 100_000_000;
/** The share changes at most this often. */
const STEP_NS: u64 = 200_000_000;
/** What the pods said counts half as much after some 0.7 of this. */
const MEMORY_NS: f64 = 500e6;
/** Pods that say nothing for so long are taken to be free: nothing else would ever open again. */
const SILENCE_NS: u64 = 5_000_000_000;
/** What is below this part of what it was at the last step is on its way down. */
const FALLING: f64 = 0.98;
const HIGH: f64 = 1;
const LOW: f64 = 0.8;
/** Part of the share that one step takes or gives, for being twice over or not at all near the mark. */
const GAIN: f64 = 0.1;
const LEAST_STEP: f64 = 0.01;
const MOST_STEP: f64 = 0.15;
/** Never less than one in a hundred of the lowest tier: its answers tell when the pods are free again. */
const LEAST: f64 = 0.01;

const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, 0x6f, 0, 0, 0, 0, 0, 0, 0, 0]); // "weir.o" and the route's fingerprint
const KEY: usize = 14;
const record: usize = memory.data(40, 8);

/** Notes what one answer said; 1 is the mark of saturation. */
export function noteSaturation(flow: Flow, saturation: f64, now: u64): void {
  flow.saturationSum += min(saturation, 100);
  flow.saturationCount += 1;
  refresh(flow, now);
}

/** Brings what this worker knows up to date, if that is due. */
export function refresh(flow: Flow, now: u64): void {
  if (now >= flow.sharedNs && now - flow.sharedNs < SHARE_NS) return;
  flow.sharedNs = now;
  store<u64>(key, flow.fingerprint, 6);
  for (let i = 0; i < MOST_TRIES; i++) {
    readShared(key, KEY);
    if (sharedBytes == RECORD) memory.copy(record, sharedPtr, RECORD);
    else {
      memory.fill(record, 0, RECORD);
      store<u64>(record, now, 8);
      store<f64>(record, 1, 16);
      store<u64>(record, now, 24);
    }
    const gathered = gather(flow, now);
    const changed = step(now) || gathered;
    flow.saturation = load<f64>(record);
    flow.share = load<f64>(record, 16);
    if (!changed) return;
    const status = writeShared(key, KEY, record, RECORD);
    if (status == CAS_MISMATCH) continue;
    if (status == OK) {
      flow.saturationSum = 0;
      flow.saturationCount = 0;
      show(flow);
    }
    return;
  }
}

/** Mixes what this worker gathered into the record. */
function gather(flow: Flow, now: u64): bool {
  if (flow.saturationCount == 0) return false;
  const before = load<u64>(record, 8);
  const age = now > before ? <f64>(now - before) : 0;
  const weight = max(age / (age + MEMORY_NS), 0.05);
  const mean = flow.saturationSum / flow.saturationCount;
  const known = load<f64>(record);
  store<f64>(record, known + (mean - known) * weight);
  store<u64>(record, now, 8);
  return true;
}

/** Moves the share one step, if one is due. */
function step(now: u64): bool {
  const changed = load<u64>(record, 24);
  // A clock that jumped back starts anew.
  if (now >= changed && now - changed < STEP_NS) return false;
  const sampled = load<u64>(record, 8);
  const silent = now > sampled && now - sampled > SILENCE_NS;
  const saturation = silent ? 0 : load<f64>(record);
  const before = load<f64>(record, 32);
  const open = load<f64>(record, 16);
  let next = open;
  if (saturation > HIGH && saturation >= before * FALLING)
    next = max(open * (1 - stepFor(saturation - HIGH)), LEAST);
  else if (saturation < LOW && (silent || saturation * FALLING <= before))
    next = min(open * (1 + stepFor(LOW - saturation)), 1);
  if (next == open && saturation == before) return false;
  store<f64>(record, next, 16);
  store<u64>(record, now, 24);
  store<f64>(record, saturation, 32);
  return true;
}

function stepFor(distance: f64): f64 {
  return min(max(distance * GAIN, LEAST_STEP), MOST_STEP);
}

/** Whether a request of a tier is let in; those that are lie evenly among the others. */
export function letIn(flow: Flow, tier: Tier): bool {
  if (flow.share >= 1) return true;
  tier.credit += min(flow.share * tier.weight, 1);
  if (tier.credit < 1) return false;
  tier.credit -= 1;
  return true;
}

/** Time until the pods will have worked off what is too much, as this worker's streams end. */
export function reliefNs(flow: Flow): u64 {
  if (flow.endsPerSecond <= 0) return 1_000_000_000;
  const excess = flow.saturation > LOW ? 1 - LOW / flow.saturation : 0;
  return <u64>min((<f64>max(flow.open, 1) * excess * 1e9) / flow.endsPerSecond, 60e9);
}

function show(flow: Flow): void {
  if (flow.shareGauge == 0) return;
  setGauge(changetype<Metric>(flow.shareGauge), <u64>(flow.share * 1000));
  setGauge(changetype<Metric>(flow.saturationGauge), <u64>(flow.saturation * 1000));
}
