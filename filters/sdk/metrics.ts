import {
  proxy_define_metric,
  proxy_get_metric,
  proxy_increment_metric,
  proxy_record_metric,
} from "./env";
import { allocate } from "./heap";
import { outPtr, sameBytes } from "./memory";
import { OK } from "./status";

const COUNTER: i32 = 0;
const GAUGE: i32 = 1;

/**
 * A metric of this VM. Requests only add to `pending`; the host hears of it on
 * the next tick, so that counting costs no host call. Every definition grows a
 * table in the host: one metric per name and VM, whatever configurations come and go.
 */
@unmanaged
export class Metric {
  next: usize;
  id: u32;
  type: i32;
  /** Added since the last flush. */
  pending: i64;
  nameBytes: u32;
  // The name's bytes follow.
}

/** Configurations with more label values than this are counted together. */
const MOST_METRICS: i32 = 8192;

let first: usize = 0;
let metricCount: i32 = 0;

function nameOf(metric: Metric): usize {
  return changetype<usize>(metric) + offsetof<Metric>();
}

function metric(type: i32, name: usize, nameBytes: usize): Metric {
  for (let at = first; at != 0; at = changetype<Metric>(at).next) {
    const known = changetype<Metric>(at);
    if (known.nameBytes == <u32>nameBytes && sameBytes(nameOf(known), name, nameBytes))
      return known;
    if (metricCount >= MOST_METRICS) return known;
  }
  const made = changetype<Metric>(allocate(offsetof<Metric>() + nameBytes));
  made.type = type;
  made.pending = 0;
  made.nameBytes = <u32>nameBytes;
  memory.copy(nameOf(made), name, nameBytes);
  made.id =
    proxy_define_metric(type, name, nameBytes, outPtr) == OK ? load<u32>(outPtr) : u32.MAX_VALUE;
  made.next = first;
  first = changetype<usize>(made);
  metricCount++;
  return made;
}

/** The counter of that name; made on first use. */
export function counter(name: usize, nameBytes: usize): Metric {
  return metric(COUNTER, name, nameBytes);
}

/** The gauge of that name; made on first use. */
export function gauge(name: usize, nameBytes: usize): Metric {
  return metric(GAUGE, name, nameBytes);
}

export function setGauge(gauge: Metric, value: u64): void {
  proxy_record_metric(gauge.id, value);
}

/**
 * A gauge that all workers of the proxy add to, kept apart from the counters
 * above: its owner defines it once and remembers the id. u32.MAX_VALUE when the
 * host refuses it.
 */
export function defineGauge(name: usize, nameBytes: usize): u32 {
  return proxy_define_metric(GAUGE, name, nameBytes, outPtr) == OK
    ? load<u32>(outPtr)
    : u32.MAX_VALUE;
}

export function addToGauge(id: u32, by: i64): void {
  proxy_increment_metric(id, by);
}

/** The gauge's value; 0 when the host does not keep it. */
export function gaugeValue(id: u32): i64 {
  return proxy_get_metric(id, outPtr) == OK ? load<i64>(outPtr) : 0;
}

/** Tells the host what was counted since the last time. */
export function flushMetrics(): void {
  for (let at = first; at != 0; at = changetype<Metric>(at).next) {
    const each = changetype<Metric>(at);
    if (each.type != COUNTER || each.pending == 0) continue;
    if (proxy_increment_metric(each.id, each.pending) == OK) each.pending = 0;
  }
}

/** The counter's value over all workers of the proxy; 0 when the host does not keep it. */
export function metricTotal(metric: Metric): u64 {
  return proxy_get_metric(metric.id, outPtr) == OK ? load<u64>(outPtr) : 0;
}
