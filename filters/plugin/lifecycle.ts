import { configureRoot, Document, deleteRoot, documentOfRoot } from "../document";
import { xxh64 } from "../format/xxh64";
import { flushCounts, onReportTick } from "../report";
import {
  Ascii,
  CONTINUE,
  gauge,
  literal,
  REQUEST_TRAILERS,
  RESPONSE_TRAILERS,
  resetArena,
  setGauge,
  setTick,
  textBytes,
  textPtr,
} from "../sdk";
import { cleanTrailers, countClaims } from "./claims";

/** Period of the ticks. */
export const TICK_MS: u32 = 1000;
const revisionName = literal("weir_config_revision");

let filterName: Ascii = "";

/** Names the filter in its log lines. */
export function nameFilter(name: Ascii): void {
  filterName = name;
}

/** A new configuration for a root context: 1 takes it, 0 refuses it and leaves what ran before. */
export function proxy_on_configure(root: u32, bytes: u32): i32 {
  resetArena();
  if (!configureRoot(root, bytes, filterName)) return 0;
  countClaims();
  showRevision(documentOfRoot(root));
  setTick(TICK_MS);
  return 1;
}

/** The revision in force as a gauge: a number that two configurations only share when they are equal. */
function showRevision(document: Document | null): void {
  if (document === null) return;
  const revision = document.revision;
  const metric = gauge(textPtr(revisionName), textBytes(revisionName));
  setGauge(metric, xxh64(textPtr(revision), textBytes(revision), 0) >> 12);
}

export function proxy_on_tick(root: u32): void {
  resetArena();
  onReportTick(documentOfRoot(root));
}

/** Roots and streams end here; only roots hold anything. */
export function proxy_on_delete(context: u32): void {
  if (!deleteRoot(context)) return;
  // Envoy keeps the timer of a root context that is gone and lets it fire for ever.
  setTick(0);
  // The VM may go with it, before another tick.
  resetArena();
  flushCounts();
}

export function proxy_on_request_trailers(_context: u32, _count: u32): i32 {
  resetArena();
  cleanTrailers(REQUEST_TRAILERS);
  return CONTINUE;
}

export function proxy_on_response_trailers(_context: u32, _count: u32): i32 {
  resetArena();
  cleanTrailers(RESPONSE_TRAILERS);
  return CONTINUE;
}
