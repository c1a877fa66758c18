import { mergeCells, WAITED, WAITS } from "../measure";
import { nowNs } from "../sdk";
import { countOfTenant, EVENTS, eachStream, Stream } from "./stream";

// What hangs never ends, and what ends is too late for who decides: a request is
// counted while it waits, once for each of the times in ../measure that it reaches.

const FIRST_NS: u64 = 4_000_000_000;
let seenNs: u64 = 0;

/** Counts the waits that this worker's streams have reached and hands over all that it counted; call it on each tick. */
export function mergeWaits(): void {
  seenNs = nowNs();
  eachStream(countWaits);
  mergeCells();
}

function countWaits(stream: Stream): void {
  if (!isWaiting(stream)) return;
  while (stream.waits < WAITS && stream.startNs + (FIRST_NS << stream.waits) <= seenNs)
    countOfTenant(stream, WAITED + stream.waits++);
}

/** Some servers send the headers of a stream before they look at the request: then its first token is waited for. */
function isWaiting(stream: Stream): bool {
  return (
    stream.statusClass == 0 ||
    (stream.reading == EVENTS && stream.isCompletion && stream.firstTokenNs == 0 && !stream.ended)
  );
}
