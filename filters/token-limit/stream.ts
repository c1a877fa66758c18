import { Api } from "../apis";
import { JsonScan } from "../format/json-scan";
import { SseScan } from "../format/sse";
import { Cell, count } from "../measure";
import { allocate, release } from "../sdk";
import { Account } from "./account";

/** How an answer's body is read. */
export const UNREAD: u8 = 0;
export const JSON: u8 = 1;
export const EVENTS: u8 = 2;

/** Events that are lines. */
export const LINES: u8 = 3;
/** As JSON, lines or events, as it begins. */
export const UNTOLD: u8 = 4;

/** Not told by the pod. */
export const UNKNOWN: i64 = -1;
/** Kinds of usage that answers tell, as the digits of ../apis have them. */
export const USAGES: i32 = 8;
export const PROMPT: i32 = 0;
export const COMPLETION: i32 = 1;
export const TOTAL: i32 = 2;
export const CACHED: i32 = 3;
export const READ_BESIDE: i32 = 4;
export const WRITTEN_BESIDE: i32 = 5;
export const REASONING: i32 = 6;
export const SECONDS: i32 = 7;

/**
 * What is known of one request and its answer. Nothing in it points into a
 * configuration: a stream outlives the one it began with.
 */
@unmanaged
export class Stream extends Account {
  next: usize;
  context: u32;
  cell: Cell;
  /** Cell of its tenant alone, where it has one. */
  tenantCell: Cell | null;
  /** When its headers came, and its first and last token, in nanoseconds. */
  startNs: u64;
  firstTokenNs: u64;
  lastTokenNs: u64;
  /** Tokens taken for it, and how many of them for the prompt. */
  reserved: u32;
  reservedPrompt: u32;
  /** Tokens there were when it was admitted. */
  had: u64;
  /** Most tokens that each answer may have; 0: any. */
  maxTokens: u32;
  /** Limit on requests that the client is told: requests at once, how many are left, and when all are; 0: none. */
  burst: u32;
  requestsLeft: u32;
  requestsResetMs: u64;
  /** Tokens that an answer is taken to have when no one says how many it may have. */
  expectedTokens: u32;
  /** What a token from a cache costs, or one written to it, in hundredths of a token. */
  cachedPercent: u32;
  writtenPercent: u32;
  /** Tokens that the prompt is taken to have as far as it came by, and the bytes of its texts. */
  promptEstimate: u32;
  promptBytes: u32;
  /** Bytes of the request's body that came by. */
  seenBytes: u32;
  /** Answers asked for to each prompt, and prompts. */
  choices: f64;
  prompts: u32;
  /** What answers may have as the pods are told; the least of what was lowered, and what no maximum may be below. */
  maximum: u32;
  lowered: u32;
  bound: u32;
  /** Names of the table that the request has, by their places, and the one whose value is read. */
  seen: u64;
  named: usize;
  promptWhere: u64;
  /** Bytes the request's content-length promises beyond what the client sends, where it has one. */
  room: u32;
  sized: bool;
  /** Events with content so far, and the bytes of all content. */
  tokenEvents: u32;
  contentBytes: u32;
  /** Bytes of the answer's body. */
  answerBytes: u32;
  /** What it is asked through. */
  api: Api;
  /** Waits of ../measure that it has reached without a first byte or token. */
  waits: i32;
  /** Class of the answer's status, 0 before it came. */
  statusClass: u8;
  /** How its body is read. */
  reading: u8;
  /** A request that may run a model, and one that makes it write. */
  isCall: bool;
  isCompletion: bool;
  /** The body is there but cannot be read: compressed, or broken. */
  unreadable: bool;
  /** The pods of another variant may answer. */
  mayFallBack: bool;
  /** An event stream, rather than one whole answer. */
  isStream: bool;
  /** The stream told its end itself. */
  isDone: bool;
  /** It told that it failed, in spite of its status. */
  failed: bool;
  /** Its tokens are told by the answer to another request. */
  isLater: bool;
  ended: bool;
  /** Whether a bucket limits it, until it is settled. */
  limited: bool;
  /** A stream beyond its limit is ended. */
  finishOverrun: bool;
  overran: bool;
  // What the request says; see ./prompt/prompt.
  readsPrompt: bool;
  /** Usage is asked for where the client did not; its event is then taken out again. */
  wantsUsage: bool;
  trims: bool;
  clientAsks: bool;
  /** What the client left out may be put in: there is room for it. */
  inserts: bool;
  /** What it asks for is lowered because it is shadow traffic. */
  clamps: bool;
  /** The whole of its document was read. */
  isRead: bool;
  streams: bool;
  promptKey: u8;
  hasMembers: bool;
  hasMaximum: bool;
  hasInner: bool;
  optionsTellUsage: bool;
  // Taking an event out; see ./answer/hold-usage-event. The bytes held back are allocated.
  heldBytes: u32;
  held: usize;
  passes: bool;
  hasData: bool;
  // Ending a stream; see ./answer/finish-early. The head of an event is allocated.
  isFinished: bool;
  headBegun: bool;
  headDone: bool;
  headBytes: u32;
  head: usize;
  // What the object or event being read has told; see ./answer/answer.
  key: u8;
  hasContent: bool;
  hasChoices: bool;
  hasList: bool;
  hasUsage: bool;
  hasFailed: bool;
  /** It is the stream's last. */
  isLast: bool;
  /** It told usage alone before. */
  toldAlone: bool;
  /** Of several answers its server tells what one took. */
  tellsOfOne: bool;
  /** Bytes of "[DONE]" matched in the event being read; 255 when it is another. */
  doneMatched: u8;
  /** Finish reasons of the event: eight bits for how many there are of each. */
  finishes: u64;
  /** Numbers of the event and of the block it is about. */
  sequence: u32;
  block: u32;
  /** Kinds of the open levels, four bits each; see ./answer/answer. */
  where: u64;
  /** The first bytes of the request's id. */
  idBytes: u32;
  // They follow, and an SseScan, two JsonScans, and usage as told and as the event tells it follow.
}

/** Adds to a counter that is also kept for each tenant that is measured. */
export function countOfTenant(stream: Stream, counter: i32, by: u32 = 1): void {
  count(stream.cell, counter, by);
  const own = stream.tenantCell;
  if (own !== null) count(own, counter, by);
}

const ID: usize = offsetof<Stream>();
export const ID_BYTES: usize = 40;
const SSE: usize = (ID + ID_BYTES + 7) & ~7;
const JSON_SCAN: usize = (SSE + offsetof<SseScan>() + 7) & ~7;
const PROMPT_SCAN: usize = JSON_SCAN + offsetof<JsonScan>();
const USAGE_PLACE: usize = PROMPT_SCAN + offsetof<JsonScan>();
const USAGE_BYTES: usize = (<usize>USAGES) << 3;
const STREAM_BYTES: usize = USAGE_PLACE + 2 * USAGE_BYTES;

export function idOf(stream: Stream): usize {
  return changetype<usize>(stream) + ID;
}
export function sseOf(stream: Stream): SseScan {
  return changetype<SseScan>(changetype<usize>(stream) + SSE);
}
export function jsonOf(stream: Stream): JsonScan {
  return changetype<JsonScan>(changetype<usize>(stream) + JSON_SCAN);
}
export function promptJsonOf(stream: Stream): JsonScan {
  return changetype<JsonScan>(changetype<usize>(stream) + PROMPT_SCAN);
}

/** Usage as the pod told it last, or UNKNOWN. */
export function usageOf(stream: Stream, usage: i32): i64 {
  return load<i64>(changetype<usize>(stream) + USAGE_PLACE + ((<usize>usage) << 3));
}
export function setUsage(stream: Stream, usage: i32, value: i64): void {
  store<i64>(changetype<usize>(stream) + USAGE_PLACE + ((<usize>usage) << 3), value);
}
/** Usage as the event being read tells it. */
export function eventUsage(stream: Stream, usage: i32): i64 {
  return load<i64>(changetype<usize>(stream) + USAGE_PLACE + USAGE_BYTES + ((<usize>usage) << 3));
}
export function setEventUsage(stream: Stream, usage: i32, value: i64): void {
  store<i64>(changetype<usize>(stream) + USAGE_PLACE + USAGE_BYTES + ((<usize>usage) << 3), value);
}
/** Forgets usage that the event told so far. */
export function clearEventUsage(stream: Stream): void {
  memory.fill(changetype<usize>(stream) + USAGE_PLACE + USAGE_BYTES, 0xff, USAGE_BYTES);
}

// Open streams by context id; as many chains as keep them short at a thousand
// open streams per worker, which finds one in as much time as the first.
const CHAINS: usize = 4096;
const chains: usize = memory.data((<i32>CHAINS) << 2, 8);

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
  // All of them UNKNOWN.
  memory.fill(at + USAGE_PLACE, 0xff, 2 * USAGE_BYTES);
  stream.lowered = u32.MAX_VALUE;
  const chain = chainOf(context);
  stream.next = load<usize>(chain);
  store<usize>(chain, at);
  return stream;
}

/** The open stream of a context. */
export function findStream(context: u32): Stream | null {
  for (let at = load<usize>(chainOf(context)); at != 0; at = changetype<Stream>(at).next)
    if (changetype<Stream>(at).context == context) return changetype<Stream>(at);
  return null;
}

/** Calls for each open stream. */
export function eachStream(call: (stream: Stream) => void): void {
  for (let i: usize = 0; i < CHAINS; i++)
    for (let at = load<usize>(chains + (i << 2)); at != 0; at = changetype<Stream>(at).next)
      call(changetype<Stream>(at));
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
    link = at + offsetof<Stream>("next");
  }
}
