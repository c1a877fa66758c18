import { Document } from "../document";
import { CLOSE_BRACE, CLOSE_BRACKET } from "../format/ascii-codes";
import {
  Ascii,
  arenaAlloc,
  beginPair,
  beginPairs,
  beginText,
  endPair,
  httpCall,
  literal,
  nowNs,
  overflowed,
  readProperty,
  write,
  writeByte,
  writeHex,
  writeSafe,
  writeText,
  written,
  writtenBytes,
} from "../sdk";
import { flushCounters, writeCounters } from "./counters";
import { epoch, isReporter } from "./election";

const TIMEOUT_MS: u32 = 2000;
const nodeId = literal("xds\0node\0id");

// What a module reports beyond its counters; 0 where it has nothing. Kept as
// numbers so that a module without them holds no trace of it.
let merge: usize = 0;
let moreCounters: usize = 0;
let moreMembers: usize = 0;

/**
 * Adds to the reports of this module: `merge` runs on each worker before, the
 * other two write further counters (told whether a comma is due) and members.
 */
export function alsoReport(
  before: () => void,
  counters: (comma: bool) => void,
  members: () => void,
): void {
  merge = changetype<usize>(before);
  moreCounters = changetype<usize>(counters);
  moreMembers = changetype<usize>(members);
}

/** Hands over what the worker counted since the last time. */
export function flushCounts(): void {
  flush(false);
}

function flush(all: bool): void {
  flushCounters(all);
  if (merge != 0) changetype<() => void>(merge)();
}

/** Flushes the worker's counters and, on the elected worker, reports the proxy's; call it on each tick. */
export function onReportTick(document: Document | null): void {
  if (document === null || document.reportCluster == 0) {
    flushCounts();
    return;
  }
  const now = nowNs();
  const reports = isReporter(now);
  flush(reports);
  if (reports) post(document, epoch(now));
}

/** Posts message ReportRequest as Connect's unary JSON; the answer is not waited for. */
function post(document: Document, epoch: u64): void {
  writeReport(document, epoch);
  if (overflowed()) return;
  const bodyBytes = writtenBytes();
  const body = arenaAlloc(bodyBytes);
  if (body == 0) return;
  memory.copy(body, written(), bodyBytes);
  beginPairs(5);
  pair(0, ":method", "POST");
  pair(1, ":path", "/weir.v1.ReportService/Report");
  beginPair(2, ":authority");
  writeText(document.reportAuthority);
  endPair(2);
  pair(3, "content-type", "application/json");
  pair(4, "connect-protocol-version", "1");
  httpCall(document.reportCluster, written(), writtenBytes(), body, bodyBytes, TIMEOUT_MS);
}

function pair(index: u32, key: Ascii, value: Ascii): void {
  beginPair(index, key);
  write(value);
  endPair(index);
}

function writeReport(document: Document, epoch: u64): void {
  const node = readProperty(nodeId);
  beginText();
  write('{"node":"');
  if (node !== null) writeSafe(node.ptr, node.bytes);
  write('","epoch":"');
  writeHex(epoch);
  write('","revision":"');
  writeText(document.revision);
  write('","counters":[');
  const any = writeCounters(document);
  if (moreCounters != 0) changetype<(comma: bool) => void>(moreCounters)(any);
  writeByte(CLOSE_BRACKET);
  if (moreMembers != 0) changetype<() => void>(moreMembers)();
  writeByte(CLOSE_BRACE);
}
