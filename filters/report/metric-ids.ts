import { xxh64 } from "../format/xxh64";
import {
  Ascii,
  addTo,
  beginText,
  COUNTER,
  defineMetric,
  logWarning,
  NO_METRIC,
  Table,
  valueIn,
  write,
  written,
  writtenBytes,
} from "../sdk";

/**
 * The host keeps what is defined for as long as the VM lives, whatever
 * configurations come and go, so there is a bound. Who is known is always found;
 * who comes beyond it shares one metric of their type.
 */
const MAX_METRICS: u32 = 32768;

const ids = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));
let told: bool = false;
const overflow: Ascii = "weir_metrics_overflow";

/**
 * The host's id of the metric whose name was just written, defined on first
 * use. Beyond the bound that of weir_metrics_overflow_total, or of the gauge
 * weir_metrics_overflow.
 */
export function metricOf(type: i32): u32 {
  const id = ownMetricOf(type);
  if (id != NO_METRIC || ids.count < MAX_METRICS) return id;
  if (!told) {
    told = true;
    beginText();
    write("weir: shares metrics beyond 32768: ");
    write(overflow);
    logWarning();
  }
  beginText();
  write(overflow);
  if (type == COUNTER) write("_total");
  return idWithin(type, MAX_METRICS + 2);
}

/** The same for a metric that no other may share: NO_METRIC beyond the bound. */
export function ownMetricOf(type: i32): u32 {
  return idWithin(type, MAX_METRICS);
}

function idWithin(type: i32, max: u32): u32 {
  const key = xxh64(written(), writtenBytes(), type);
  // Ids begin at 0, which means nothing in a table.
  const known = <u32>valueIn(ids, key);
  if (known != 0) return known - 1;
  if (ids.count >= max) return NO_METRIC;
  const id = defineMetric(type, written(), writtenBytes());
  if (id != NO_METRIC) addTo(ids, key, id + 1);
  return id;
}
