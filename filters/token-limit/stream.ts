import { JsonScan } from "../format/json-scan";
import { SseScan } from "../format/sse";
import { Cell } from "../measure";
import { allocate, release } from "../sdk";

/** How an answer's body is read. */
export const UNREAD: u8 = 0;
export const JSON: u8 = 1;
export const EVENTS: u8 = 2;

/** Not told by the pod. */
export const UNKNOWN: i64 = -1;

/**
 * What is known of one request and its answer. Nothing in it points into a
 * configuration: a stream outlives the one it began with.
 */
@unmanaged
export class Stream {
  next: usize;
  context: u32;
  cell: Cell;
  /** When its headers came, and its first and last token, in nanoseconds. */
  startNs: u64;
  firstTokenNs: u64;
  lastTokenNs: u64;
  /** Usage as the pod told it last, or UNKNOWN. */
  promptTokens: i64;
  completionTokens: i64;
  /** Tokens that the prompt is taken to have. */
  promptEstimate: u32;
  /** Events with content so far, and the bytes of all content. */
  tokenEvents: u32;
  contentBytes: u32;
  /** Class of the answer's status, 0 before it came. */
  statusClass: u8;
  /** How its body is read. */
  reading: u8;
  /** A request that makes a model write. */
  isCompletion: bool;
  /** The body is there but cannot be read: compressed, or broken. */
  unreadable: bool;
  /** The stream told its end itself. */
  isDone: bool;
  ended: bool;
  // What the object or event being read has told; see ./answer.
  key: u8;
  hasContent: bool;
  hasChoices: bool;
  hasUsage: bool;
  finish: u8;
  /** Bytes of "[DONE]" matched in the event being read; 255 when it is another. */
  doneMatched: u8;
  eventPrompt: i64;
  eventCompletion: i64;
  /** Kinds of the open levels, four bits each; see ./answer. */
  where: u64;
  // An SseScan and a JsonScan follow.
}

const SSE: usize = offsetof<Stream>();
const JSON_SCAN: usize = (SSE + offsetof<SseScan>() + 7) & ~7;
const STREAM_BYTES: usize = JSON_SCAN + offsetof<JsonScan>();

export function sseOf(stream: Stream): SseScan {
  return changetype<SseScan>(changetype<usize>(stream) + SSE);
}
export function jsonOf(stream: Stream): JsonScan {
  return changetype<JsonScan>(changetype<usize>(stream) + JSON_SCAN);
}

// Open streams by context id; as many chains as keep them short at a thousand
// open streams per worker, which finds one in as much time as the first.
const CHAINS: usize = 4096;
const chains: usize = memory.data(16384, 8);

function chainOf(context: u32): usize {
  return chains + ((<usize>context & (CHAINS - 1)) << 2);
}

/** Begins a stream; one with that id that was never ended is ended silently. */
export function openStream(context: u32): Stream {
  dropStream(context);
  const at = allocate(STREAM_BYTES);
  memory.fill(at, 0, STREAM_BYTES);
  const stream = changetype<Stream>(at);
  stream.context = context;
  stream.promptTokens = UNKNOWN;
  stream.completionTokens = UNKNOWN;
  const chain = chainOf(context);
  stream.next = load<usize>(chain);
  store<usize>(chain, at);
  return stream;
}

/** The open stream of a context, or 0. */
export function findStream(context: u32): usize {
  for (let at = load<usize>(chainOf(context)); at != 0; at = changetype<Stream>(at).next)
    if (changetype<Stream>(at).context == context) return at;
  return 0;
}

/** Forgets a stream. */
export function dropStream(context: u32): void {
  let link = chainOf(context);
  for (let at = load<usize>(link); at != 0; at = load<usize>(link)) {
    if (changetype<Stream>(at).context == context) {
      store<usize>(link, changetype<Stream>(at).next);
      release(at);
      return;
    }
    // `next` is the first member.
    link = at;
  }
}
