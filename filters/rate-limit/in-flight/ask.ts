import { xxh64 } from "../../format/xxh64";
import {
  EXTENDED,
  hasHeader,
  literal,
  REQUEST_HEADERS,
  readProperty,
  removeHeader,
  setHeader,
  Text,
  textBytes,
  textPtr,
} from "../../sdk";
import { Flow } from "./flow";

// Model servers tell their load only where they are asked to, and it costs them some
// milliseconds of the one loop that all of their answers wait for. So a worker asks each
// pod about once a second. Who will answer is not known when a request is asked for:
// as many are asked in a second as there are pods that told their load lately.

const loadFormat: Text = EXTENDED ? literal("endpoint-load-metrics-format") : 0;
const asText: Text = EXTENDED ? literal("TEXT") : 0;
const upstream: Text = EXTENDED ? literal("upstream\0address") : 0;

const PERIOD_NS: u64 = 1_000_000_000;
/** Pods that were not heard for one to two of these are not counted. */
const REMEMBERED_NS: u64 = 8_000_000_000;

/** Asks for the load with this request, if it is time to; no client may ask. */
export function askForLoad(flow: Flow, now: u64): void {
  // A clock that jumped back asks anew.
  if (now < flow.askNs && flow.askNs - now <= PERIOD_NS) {
    if (hasHeader(loadFormat)) removeHeader(REQUEST_HEADERS, loadFormat);
    return;
  }
  const pods = popcnt<u64>(flow.pods | flow.podsBefore);
  flow.askNs = now + PERIOD_NS / max<u64>(pods, 1);
  setHeader(REQUEST_HEADERS, loadFormat, textPtr(asText), textBytes(asText));
}

/** Notes which pod told its load. */
export function notePod(flow: Flow, now: u64): void {
  if (now - flow.podsNs > REMEMBERED_NS) {
    flow.podsBefore = flow.pods;
    flow.pods = 0;
    flow.podsNs = now;
  }
  const pod = readProperty(upstream);
  if (pod !== null) flow.pods |= (<u64>1) << (xxh64(pod.ptr, pod.bytes, 0) & 63);
}
