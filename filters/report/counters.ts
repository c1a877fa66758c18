import { Document, eachDocument, Route } from "../document";
import { COMMA } from "../format/ascii-codes";
import {
  Ascii,
  addToMetric,
  beginText,
  COUNTER,
  metricValue,
  Text,
  textBytes,
  textPtr,
  write,
  writeByte,
  writeSafe,
  writeText,
  writeUint,
  writtenBytes,
} from "../sdk";
import { metricOf } from "./metric-ids";

/**
 * What one configuration counts of one route. Requests only add to `pending`; the
 * host hears of it on the next tick, so that counting costs no host call, and
 * knows no metric before it is needed. It goes with its configuration; the
 * host's metric stays.
 */
@unmanaged
export class Counter {
  /** Added since the last flush. */
  pending: i64;
  next: usize;
  /** The host's id and 1; 0 until it is asked for. */
  metric: u32;
  name: Ascii;
  route: Text;
  key: Ascii;
  /** 0 where the counter is not split. */
  label: Text;
}

/** What flushes a document's counters; 0 in a module that has none, which so holds no trace of it. */
let flushing: usize = 0;

/** The counter `weir_<name>_total` of a route, split by one label. */
export function countedBy(name: Ascii, route: Route, key: Ascii, label: Text): Counter {
  flushing = changetype<usize>(flushDocument);
  const document = route.document;
  const counter = changetype<Counter>(document.region.alloc(offsetof<Counter>()));
  counter.name = name;
  counter.route = route.name;
  counter.key = key;
  counter.label = label;
  counter.next = document.counters;
  document.counters = changetype<usize>(counter);
  return counter;
}

/** "route=.=inference/chat;.;" */
export function writeTag(key: Ascii, value: Text): void {
  write(key);
  write("=.=");
  writeText(value);
  write(";.;");
}

/**
 * Has the host know the counter's metric. Its name carries the labels the way
 * Istio's tag extraction and Weir's bootstrap read them:
 * "route=.=inference/chat;.;variant=.=canary;.;weir_canary_requests_total".
 */
function define(counter: Counter): void {
  beginText();
  writeTag("route", counter.route);
  if (counter.label != 0) writeTag(counter.key, counter.label);
  write("weir_");
  write(counter.name);
  write("_total");
  counter.metric = metricOf(COUNTER) + 1;
}

/** Metrics that others counted and this worker makes known for one report: the host takes its time for each. */
const MAX_DEFINED: i32 = 512;
let left: i32 = 0;

/** Tells the host what was counted since the last time; `all` makes more metrics known, for a report on them. */
export function flushCounters(all: bool): void {
  if (flushing == 0) return;
  left = all ? MAX_DEFINED : 0;
  eachDocument(changetype<(document: Document) => void>(flushing));
}

function flushDocument(document: Document): void {
  for (let at = document.counters; at != 0; at = changetype<Counter>(at).next) {
    const counter = changetype<Counter>(at);
    if (counter.pending == 0 && (counter.metric != 0 || --left < 0)) continue;
    if (counter.metric == 0) define(counter);
    if (counter.pending != 0 && addToMetric(counter.metric - 1, counter.pending))
      counter.pending = 0;
  }
}

/** Room for counters in one report; a proxy with more tells them by turns. */
const ROOM: usize = 160_000;
/** Number of the counter that the next report begins with. */
let turn: u32 = 0;

/** Writes the document's counters over all workers, from where the last report ended; whether there were any. */
export function writeCounters(document: Document): bool {
  let any = false;
  if (flushing == 0) return any;
  let place: u32 = 0;
  for (let at = document.counters; at != 0; at = changetype<Counter>(at).next) {
    if (place++ < turn) continue;
    if (writtenBytes() > ROOM) {
      turn = place - 1;
      return any;
    }
    const counter = changetype<Counter>(at);
    const total = metricValue(counter.metric - 1);
    if (total == 0) continue;
    if (any) writeByte(COMMA);
    any = true;
    write('{"name":"');
    write(counter.name);
    write('","route":"');
    writeSafe(textPtr(counter.route), textBytes(counter.route));
    write('","label":"');
    if (counter.label != 0) writeSafe(textPtr(counter.label), textBytes(counter.label));
    write('","value":"');
    writeUint(total);
    write('"}');
  }
  turn = 0;
  return any;
}
