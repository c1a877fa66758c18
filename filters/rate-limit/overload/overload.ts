import { CLOSE_BRACE, CLOSE_BRACKET } from "../../format/ascii-codes";
import { metricOf, writeTag } from "../../report";
import {
  Ascii,
  beginText,
  CAS_MISMATCH,
  found,
  GAUGE,
  nowNs,
  OK,
  readShared,
  resetArena,
  setGauge,
  write,
  writeByte,
  writeShared,
  writeText,
  writeUint,
  writtenBytes,
} from "../../sdk";
import { HASHED_KEY, hashedKey, MAX_TRIES, OVERLOAD } from "../../shared-table";
import { Tier } from "../bucket/tier";
import { eachFlow, Flow, routeOfFlow } from "../in-flight/flow";

// How much of the traffic a route's pods can take just now, the same for all
// workers of the proxy. A number between 0 and 1, `open`, is lowered while the
// pods say that they are saturated and raised while they say that they are not;
// between the two marks it stays, and it also waits while what was done shows,
// for queues need time to empty: so it does not flap. A tier is let in
// with the share open x its weight / the smallest weight: with weights 10, 5
// and 1, bronze goes first, and gold gives up nothing before bronze is down to
// a tenth.
//
// Workers gather what they are told and see and hand it on seldom, by compare-and-set
// on one record per route:
//
//   SOURCES x (f64 saturation | u64 sampled at) | f64 open | u64 last step at | f64 saturation then
const RECORD: usize = 72;
const OPEN: usize = 48;
const STEP: usize = 56;
const THEN: usize = 64;

/** A worker hands on what it gathered this often, and reads what others did. */
const SHARE_NS: u64 = 100_000_000;
/** The share changes at most this often, and so often where nothing new is said. */
const STEP_NS: u64 = 200_000_000;
/** Words that come seldom take so many steps at once. */
const MAX_STEPS: u64 = 5;
const PATIENCE_NS: u64 = 1_500_000_000;
/** What the pods said counts half as much after some 0.7 of this. */
const MEMORY_NS: f64 = 500e6;
/**
 * What was said so long ago is not known any more. Where nothing is, and nothing waits
 * either, the pods are taken to be free: nothing else would ever open again.
 */
const SILENCE_NS: u64 = 5_000_000_000;
/** What is below this part of what it was at the last step is on its way down. */
const FALLING: f64 = 0.98;
const HIGH: f64 = 1;
const LOW: f64 = 0.8;
/** Part of the share that one step takes or gives, for being twice over or not at all near the mark. */
const GAIN: f64 = 0.1;
const MIN_STEP: f64 = 0.01;
const MAX_STEP: f64 = 0.15;
/** Never less than one in a hundred of the lowest tier: its answers tell when the pods are free again. */
const LEAST: f64 = 0.01;

const record: usize = memory.data(<i32>RECORD, 8);

/** Where it is known from: the answers of pods, the control service, and what this proxy sees itself. */
export const ANSWERS: usize = 0;
export const METRICS: usize = 1;
export const ESTIMATE: usize = 2;
const SOURCES: usize = 3;

/** Sum and count of a source stand at the flow's beginning. */
function gatheredOf(flow: Flow, source: usize): usize {
  return changetype<usize>(flow) + (source << 4);
}

/** Notes what a source says; 1 is the mark of saturation. */
export function noteSaturation(flow: Flow, source: usize, saturation: f64, now: u64): void {
  const at = gatheredOf(flow, source);
  store<f64>(at, load<f64>(at) + min(saturation, 100));
  store<f64>(at, load<f64>(at, 8) + 1, 8);
  refresh(flow, now);
}

/** Brings what this worker knows up to date, if that is due. */
export function refresh(flow: Flow, now: u64): void {
  if (now >= flow.sharedNs && now - flow.sharedNs < SHARE_NS) return;
  flow.sharedNs = now;
  for (let i = 0; i < MAX_TRIES; i++) {
    readShared(hashedKey(OVERLOAD, flow.fingerprint), HASHED_KEY);
    if (found.bytes == RECORD) memory.copy(record, found.ptr, RECORD);
    else {
      memory.fill(record, 0, RECORD);
      store<f64>(record, 1, OPEN);
      store<u64>(record, now, STEP);
    }
    const gathered = gather(flow, now);
    const changed = step(now) || gathered;
    flow.saturation = max(known(now), 0);
    flow.share = load<f64>(record, OPEN);
    if (!changed) return;
    const status = writeShared(hashedKey(OVERLOAD, flow.fingerprint), HASHED_KEY, record, RECORD);
    if (status == CAS_MISMATCH) continue;
    if (status == OK) {
      memory.fill(gatheredOf(flow, 0), 0, SOURCES << 4);
      show(flow, now);
    }
    return;
  }
}

/** Mixes what this worker gathered into the record. */
function gather(flow: Flow, now: u64): bool {
  let any = false;
  for (let source: usize = 0; source < SOURCES; source++) {
    const own = gatheredOf(flow, source);
    const at = record + (source << 4);
    if (load<f64>(own, 8) == 0) continue;
    const before = load<u64>(at, 8);
    const age = now > before ? <f64>(now - before) : 0;
    const weight = max(age / (age + MEMORY_NS), 0.05);
    const mean = load<f64>(own) / load<f64>(own, 8);
    const value = load<f64>(at);
    store<f64>(at, value + (mean - value) * weight);
    store<u64>(at, now, 8);
    any = true;
  }
  return any;
}

/** What a source said of late; -1 where it said nothing. */
function saturationBy(source: usize, now: u64): f64 {
  const at = record + (source << 4);
  const sampled = load<u64>(at, 8);
  return now > sampled && now - sampled > SILENCE_NS ? -1 : load<f64>(at);
}

/** What the pods say themselves, to whichever asks them; -1 where they say nothing. */
function saturationByPods(now: u64): f64 {
  return max(saturationBy(ANSWERS, now), saturationBy(METRICS, now));
}

/** How saturated the pods are: who asks them knows better than who only waits for them. -1: not known. */
function known(now: u64): f64 {
  const measured = saturationByPods(now);
  return measured >= 0 ? measured : saturationBy(ESTIMATE, now);
}

/** When whoever is believed now said something last. */
function measuredNs(now: u64): u64 {
  return saturationByPods(now) >= 0
    ? max(load<u64>(record, 8), load<u64>(record, 24))
    : load<u64>(record, 40);
}

/** Moves the share one step, if one is due. */
function step(now: u64): bool {
  const changed = load<u64>(record, STEP);
  // A clock that jumped back starts anew.
  if (now >= changed && now - changed < STEP_NS) return false;
  const measured = known(now);
  const silent = measured < 0;
  const saturation = max(measured, 0);
  // A queue takes its time to empty, and looks still until there is a new word about it.
  const isNew = measuredNs(now) > changed;
  const before = load<f64>(record, THEN);
  const open = load<f64>(record, OPEN);
  let next = open;
  if (saturation > HIGH && isNew && saturation >= before * FALLING)
    next = max(open * shrunk(1 - stepFor(saturation - HIGH), now - changed), LEAST);
  else if (saturation < LOW) {
    // It opens no faster than it is told.
    if (!silent && !isNew && now >= changed && now - changed < PATIENCE_NS) return false;
    if (silent) next = 1;
    else if (saturation * FALLING <= before)
      next = min(open * (1 + 4 * stepFor(LOW - saturation)), 1);
  }
  if (next == open && saturation == before) return false;
  store<f64>(record, next, OPEN);
  store<u64>(record, now, STEP);
  store<f64>(record, saturation, THEN);
  return true;
}

/** What is left after all steps that were due since the last one. */
function shrunk(left: f64, sinceNs: u64): f64 {
  let all = left;
  for (let due = min(sinceNs / STEP_NS, MAX_STEPS); due > 1; due--) all *= left;
  return all;
}

function stepFor(distance: f64): f64 {
  return min(max(distance * GAIN, MIN_STEP), MAX_STEP);
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

function show(flow: Flow, now: u64): void {
  showAs(flow, flow.share, "weir_overload_open_permille");
  showAs(flow, flow.saturation, "weir_saturation_permille");
  showAs(flow, saturationBy(ANSWERS, now), "weir_saturation_answers_permille");
  showAs(flow, saturationBy(METRICS, now), "weir_saturation_metrics_permille");
  showAs(flow, saturationBy(ESTIMATE, now), "weir_saturation_estimate_permille");
}

/** Bytes of a report after which no route is begun; a proxy with more goes by turns. */
const SATURATIONS_END: usize = 250_000;
/** Number of the route at hand, and of the one that the next report begins with. */
let place: u32 = 0;
let turn: u32 = 0;
/** Where this report came to its bound; 0: it has room. */
let stopped: u32 = 0;
let any: bool = false;

/** Writes the member "saturations" of message ReportRequest: what this proxy sees itself of how busy pods are. */
export function writeSaturations(): void {
  place = 0;
  stopped = 0;
  any = false;
  eachFlow(writeSaturation);
  turn = stopped;
  if (any) writeByte(CLOSE_BRACKET);
}

function writeSaturation(at: usize): void {
  const flow = changetype<Flow>(at);
  if (!flow.listens || place++ < turn || stopped != 0) return;
  if (writtenBytes() > SATURATIONS_END) {
    stopped = place - 1;
    return;
  }
  resetArena();
  readShared(hashedKey(OVERLOAD, flow.fingerprint), HASHED_KEY);
  if (found.bytes != RECORD) return;
  memory.copy(record, found.ptr, RECORD);
  writeSource(flow, ANSWERS, "answers");
  writeSource(flow, ESTIMATE, "estimate");
}

function writeSource(flow: Flow, source: usize, name: Ascii): void {
  const measured = saturationBy(source, nowNs());
  if (measured < 0) return;
  write(any ? ',{"route":"' : ',"saturations":[{"route":"');
  any = true;
  writeText(routeOfFlow(flow));
  write('","source":"');
  write(name);
  write('","permille":');
  writeUint(<u64>(measured * 1000));
  writeByte(CLOSE_BRACE);
}

/** What a source does not say is not shown anew. */
function showAs(flow: Flow, value: f64, name: Ascii): void {
  if (value < 0) return;
  beginText();
  writeTag("route", routeOfFlow(flow));
  write(name);
  setGauge(metricOf(GAUGE), <u64>(value * 1000));
}
