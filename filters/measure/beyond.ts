import { metricOf } from "../report";
import { addToMetric, beginText, COUNTER, logWarning, write } from "../sdk";
import { RESPONSES, STREAM_DONE } from "./names";
import { Cell, counterAt } from "./series";

let told: bool = false;

/**
 * Counts the answers of a cell for which the proxy has no place in
 * weir_metrics_overflow_total and says so once; a tenant's are in its route's already.
 */
export function countBeyond(cell: Cell): void {
  let answers: i64 = 0;
  for (let i = RESPONSES; i < STREAM_DONE; i++) answers += load<u32>(counterAt(cell, i));
  if (cell.ofTenant != 0 || answers == 0) return;
  if (!told) {
    told = true;
    beginText();
    write("weir: does not tell apart more than 1024 series of routes, variants and tiers: ");
    writeName();
    logWarning();
  }
  beginText();
  writeName();
  addToMetric(metricOf(COUNTER), answers);
}

function writeName(): void {
  write("weir_metrics_overflow");
  write("_total");
}
