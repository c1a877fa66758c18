import {
  proxy_define_metric,
  proxy_get_metric,
  proxy_increment_metric,
  proxy_record_metric,
} from "./env";
import { outPtr } from "./memory";
import { OK } from "./status";

// Metrics of the host, by the ids it gives. Every definition grows a table in
// the host that is only freed with the VM: ../report/metric-ids sees to it that
// there is one for each name.

/** A metric that only grows; the ABI's number for it. */
export const COUNTER: i32 = 0;

/** A metric that goes up and down; the ABI's number for it. */
export const GAUGE: i32 = 1;
/** No metric: the host refused it. */
export const NO_METRIC: u32 = u32.MAX_VALUE;

/** The id of a new metric; NO_METRIC when the host refuses it. */
export function defineMetric(type: i32, name: usize, nameBytes: usize): u32 {
  return proxy_define_metric(type, name, nameBytes, outPtr) == OK ? load<u32>(outPtr) : NO_METRIC;
}

/** Adds to a counter or a gauge; false when the host does not keep it. */
export function addToMetric(id: u32, by: i64): bool {
  return proxy_increment_metric(id, by) == OK;
}

/** Sets a gauge to a value. */
export function setGauge(id: u32, value: u64): void {
  proxy_record_metric(id, value);
}

/** The metric's value over all workers of the proxy; 0 when the host does not keep it. */
export function metricValue(id: u32): i64 {
  return proxy_get_metric(id, outPtr) == OK ? load<i64>(outPtr) : 0;
}
