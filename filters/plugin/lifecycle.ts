import { configureRoot, Document, deleteRoot, documentOfRoot, isRoot } from "../document";
import { xxh64 } from "../format/xxh64";
import { configured, flushCounts, metricOf, onReportTick } from "../report";
import {
  Ascii,
  beginText,
  CONTINUE,
  GAUGE,
  REQUEST_TRAILERS,
  RESPONSE_TRAILERS,
  resetArena,
  setGauge,
  setTick,
  textBytes,
  textPtr,
  write,
} from "../sdk";
import { cleanTrailers, flushClaims } from "./claims";

/** Period of the ticks. */
export const TICK_MS: u32 = 1000;

let filterName: Ascii = "";

/** Names the filter in its log lines. */
export function nameFilter(name: Ascii): void {
  filterName = name;
}

/** A new configuration for a root context: 1 takes it, 0 refuses it and leaves what ran before. */
export function onConfigure(root: u32, bytes: u32): i32 {
  resetArena();
  // What this root counted by the configuration before goes with it.
  flushCounts();
  if (!configureRoot(root, bytes, filterName)) return 0;
  showRevision(documentOfRoot(root));
  setTick(TICK_MS);
  return 1;
}

/** The revision in force, for the reports and as a gauge: a number that two configurations only share when they are equal. */
function showRevision(document: Document | null): void {
  if (document === null) return;
  const revision = document.revision;
  const hash = xxh64(textPtr(revision), textBytes(revision), 0);
  configured(hash);
  beginText();
  write("weir_config_revision");
  setGauge(metricOf(GAUGE), hash >> 12);
}

export function onTick(root: u32): void {
  resetArena();
  flushClaims();
  onReportTick(documentOfRoot(root));
}

/** Roots and streams end here; only roots hold anything. */
export function onDelete(context: u32): void {
  if (!isRoot(context)) return;
  resetArena();
  // What the configuration counted goes with it, and the VM may go before another tick.
  flushClaims();
  flushCounts();
  deleteRoot(context);
  // Envoy keeps the timer of a root context that is gone and lets it fire for ever.
  setTick(0);
}

export function onRequestTrailers(_context: u32, _count: u32): i32 {
  resetArena();
  cleanTrailers(REQUEST_TRAILERS);
  return CONTINUE;
}

export function onResponseTrailers(_context: u32, _count: u32): i32 {
  resetArena();
  cleanTrailers(RESPONSE_TRAILERS);
  return CONTINUE;
}
