import { retryAfterS } from "../refusal";
import {
  beginText,
  findHeader,
  HeaderRow,
  hasHeader,
  literal,
  nowNs,
  RESPONSE_HEADERS,
  readHeaders,
  removeHeader,
  setHeader,
  valueBytes,
  valuePtr,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { beganMs, flowOf } from "./concurrency/stream-table";
import { notePod } from "./in-flight/ask";
import { drainNs, Flow } from "./in-flight/flow";
import { noteBegun } from "./overload/estimate";
import { PodLoad, readLoad } from "./overload/orca";
import { ANSWERS, noteSaturation } from "./overload/overload";

const status = literal(":status");
const retryAfter = literal("retry-after");
const loadMetrics = literal("endpoint-load-metrics");

const podLoad = changetype<PodLoad>(memory.data(<i32>offsetof<PodLoad>(), 8));

/**
 * Looks at the headers of an answer, where the route asks for it: what the pod
 * says of its load, and whether it refused. A refusal passes as it is and gains
 * a Retry-After where it has none, for clients guess badly.
 */
export function readAnswer(context: u32): void {
  const flow = flowOf(context);
  if (flow === null || !flow.listens || !readHeaders(RESPONSE_HEADERS)) return;
  const now = nowNs();
  const since = beganMs(context);
  if (since > 0) noteBegun(flow, since, now);
  const load = findHeader(loadMetrics);
  if (load != 0) {
    if (readLoad(valuePtr(load), valueBytes(load), podLoad)) {
      notePod(flow, now);
      noteSaturation(flow, ANSWERS, saturationOf(flow, podLoad), now);
    }
    // It was asked for here and is no client's business.
    removeHeader(RESPONSE_HEADERS, loadMetrics);
  }
  const row = findHeader(status);
  if (row != 0 && isRefusal(row) && !hasHeader(retryAfter)) addRetryAfter(flow, context);
}

/** The highest of what the pod said against its mark. */
function saturationOf(flow: Flow, load: PodLoad): f64 {
  let saturation: f64 = 0;
  if (flow.queueMark > 0 && load.queueDepth >= 0)
    saturation = max(saturation, load.queueDepth / flow.queueMark);
  if (flow.kvCacheMark > 0 && load.kvCacheUse >= 0)
    saturation = max(saturation, load.kvCacheUse / flow.kvCacheMark);
  if (flow.gpuMark > 0 && load.gpuUse >= 0)
    saturation = max(saturation, load.gpuUse / flow.gpuMark);
  return saturation;
}

/** 429 or 503. */
function isRefusal(row: HeaderRow): bool {
  if (valueBytes(row) != 3) return false;
  const ptr = valuePtr(row);
  const digits = <u32>load<u16>(ptr) | ((<u32>load<u8>(ptr, 2)) << 16);
  return digits == 0x393234 || digits == 0x333035;
}

function addRetryAfter(flow: Flow, context: u32): void {
  beginText();
  writeUint(retryAfterS(drainNs(flow, max(flow.open, 1)), context * 0x9e3779b1));
  setHeader(RESPONSE_HEADERS, retryAfter, written(), writtenBytes());
}
