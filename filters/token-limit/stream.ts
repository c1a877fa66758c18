import { JsonScan } from "../format/json-scan";
import { SseScan } from "../format/sse";
import { Cell, count } from "../measure";
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
  /** Cell of its tenant alone, or 0. */
  tenantCell: usize;
  /** When its headers came, and its first and last token, in nanoseconds. */
  startNs: u64;
  firstTokenNs: u64;
  lastTokenNs: u64;
  /** Usage as the pod told it last, or UNKNOWN. */
  promptTokens: i64;
  completionTokens: i64;
  /** The bucket its tokens come from, and what it gives a minute. */
  bucket: u64;
  perMinute: u64;
  /** Tokens that were left when it took some last. */
  left: u64;
  /** Tokens taken for it, and how many of them for the prompt. */
  reserved: u32;
  reservedPrompt: u32;
  /** Most tokens that each answer may have; 0: any. */
  most: u32;
  /** Limit on requests that the client is told: requests at once, how many are left, and when all are; 0: none. */
  burst: u32;
  requestsLeft: u32;
  requestsResetMs: u64;
  /** Tokens that an answer is taken to have when no one says how many it may have. */
  expectedTokens: u32;
  /** Tokens that the prompt is taken to have, and the bytes of its texts. */
  promptEstimate: u32;
  promptBytes: u32;
  /** Answers asked for: "n". */
  choices: u32;
  /** Bytes the request's content-length promises beyond what the client sends. */
  room: u32;
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
  /** An event stream, rather than one whole answer. */
  isStream: bool;
  /** The stream told its end itself. */
  isDone: bool;
  ended: bool;
  /** Whether a bucket limits it, until it is settled. */
  limited: bool;
  /** A stream beyond its limit is ended. */
  finishOverrun: bool;
  overran: bool;
  // What the request says; see ./prompt.
  readsPrompt: bool;
  /** Usage is asked for where the client did not; its event is then taken out again. */
  wantsUsage: bool;
  trims: bool;
  clientAsks: bool;
  /** What the client left out may be put in: there is room for it. */
  inserts: bool;
  /** The maximum has another name in OpenAI's Responses API. */
  isResponses: bool;
  streams: bool;
  promptKey: u8;
  hasMembers: bool;
  hasMaximum: bool;
  hasOptions: bool;
  inOptions: bool;
  optionsHaveMembers: bool;
  optionsTellUsage: bool;
  // Taking an event out; see ./trim. The bytes held back are allocated.
  heldBytes: u32;
  held: usize;
  passes: bool;
  hasData: bool;
  // Ending a stream; see ./finish. The head of an event is allocated.
  isFinished: bool;
  isText: bool;
  headDone: bool;
  headBytes: u32;
  head: usize;
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
  // An SseScan and two JsonScans follow.
}

/** Adds to a counter that is also kept for each tenant that is measured. */
export function countOfTenant(stream: Stream, counter: i32): void {
  count(stream.cell, counter);
  if (stream.tenantCell != 0) count(changetype<Cell>(stream.tenantCell), counter);
}

const SSE: usize = offsetof<Stream>();
const JSON_SCAN: usize = (SSE + offsetof<SseScan>() + 7) & ~7;
const PROMPT_SCAN: usize = JSON_SCAN + offsetof<JsonScan>();
const STREAM_BYTES: usize = PROMPT_SCAN + offsetof<JsonScan>();

export function sseOf(stream: Stream): SseScan {
  return changetype<SseScan>(changetype<usize>(stream) + SSE);
}
export function jsonOf(stream: Stream): JsonScan {
  return changetype<JsonScan>(changetype<usize>(stream) + JSON_SCAN);
}
export function promptJsonOf(stream: Stream): JsonScan {
  return changetype<JsonScan>(changetype<usize>(stream) + PROMPT_SCAN);
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
      const stream = changetype<Stream>(at);
      store<usize>(link, stream.next);
      if (stream.held != 0) release(stream.held);
      if (stream.head != 0) release(stream.head);
      release(at);
      return;
    }
    // `next` is the first member.
    link = at;
  }
}
