import { findName, nameBytesOf, nameOf, placeOf } from "../../apis";
import { QUOTE } from "../../format/ascii-codes";
import { JsonScan } from "../../format/json-scan";
import { count, LIMIT_CLAMPED } from "../../measure";
import { Ascii, beginText, writeUint, written, writtenBytes } from "../../sdk";
import { putBytes, putSpaces } from "../body-edit";
import { reserveCompletion } from "../budget/reservation";
import { Stream } from "../stream";
import { denyField, denyTokens } from "./body-refusal";
import { takeValue } from "./held-value";

// How many tokens an answer may have. What a tenant has to pay for is reserved
// before a number goes on, and a number that is there is never above it. Choices and
// prompts that come after it are reserved when they are known, or refuse the request.
const MAX_TOKENS: u32 = 1_000_000_000;

/** The letter of maxima that all servers of an API know, see ../../apis. */
export const MAXIMUM: u8 = 0x6d; // m

const nameBuffer: usize = memory.data(32, 8);

/** The entry of the name that a text to be inserted begins with; 0 for none. */
function entryOf(stream: Stream, insertion: Ascii): usize {
  if (insertion.length == 0) return 0;
  const from = insertion.ptr + 2; // ,"
  let bytes: usize = 0;
  while (load<u8>(from + bytes) != QUOTE) bytes++;
  memory.fill(nameBuffer, 0, 32);
  memory.copy(nameBuffer, from, bytes);
  return findName(stream.api.request, 1, nameBuffer, <u32>bytes);
}

/** Whether the request has the name that a text to be inserted begins with. */
export function hasName(stream: Stream, insertion: Ascii): bool {
  const entry = entryOf(stream, insertion);
  return entry != 0 && (stream.seen & ((<u64>1) << placeOf(entry))) != 0;
}

/** Answers that the request asks for, each with a maximum of its own. */
export function answersOf(stream: Stream): f64 {
  return max<f64>(stream.choices, 1) * max<u32>(stream.prompts, 1);
}

/** Tokens that an answer to a request which names no maximum may have. */
export function usualMaximum(stream: Stream): u32 {
  return stream.maxTokens == 0 ? max(stream.expectedTokens, stream.bound) : stream.maxTokens;
}

/** Reserves for each answer up to `wanted` tokens; returns how many there are. */
function grant(stream: Stream, wanted: u32): u32 {
  const each = answersOf(stream);
  const have = reserveCompletion(stream, <u32>min(wanted * each, <f64>MAX_TOKENS));
  const granted = stream.limited ? <u32>min(<f64>wanted, Math.floor(have / each)) : wanted;
  if (granted == 0) denyTokens();
  stream.maximum = max(stream.maximum, granted);
  if (granted < wanted) lowerTo(stream, granted);
  return granted;
}

/** A number is lowered, or named lower than is usual. */
function lowerTo(stream: Stream, granted: u32): void {
  stream.lowered = min(stream.lowered, granted);
  if (stream.lowered < stream.bound) denyBound(stream);
}

/** A request that its pods would refuse if its maximum were lowered as it has to be. */
function denyBound(stream: Stream): void {
  if (stream.maxTokens != 0 && stream.bound > stream.maxTokens)
    denyField(
      nameOf(stream.named),
      nameBytesOf(stream.named),
      " leaves no room below the most tokens that the route gives an answer",
    );
  else denyTokens();
}

/** No maximum may be below this. */
export function bindMaximum(stream: Stream, floor: f64): void {
  stream.bound = max(stream.bound, <u32>min(max(floor, 0), <f64>MAX_TOKENS));
  if (stream.lowered < stream.bound) denyBound(stream);
}

/** What the request asks for: all there is below zero, and at least one token, as some servers take 0 for none named. */
function wantedOf(stream: Stream, asked: f64): u32 {
  if (asked < 0) return usualMaximum(stream);
  const maxTokens = stream.maxTokens == 0 ? MAX_TOKENS : stream.maxTokens;
  return <u32>min(max(Math.ceil(asked), 1), <f64>maxTokens);
}

/**
 * A maximum ends before `at`: lowers it to what there is. Where it is a text it becomes a
 * number, for there are servers that take a text for none.
 */
export function limitMaximum(
  stream: Stream,
  scan: JsonScan,
  at: usize,
  held: u32,
  asked: f64,
  quoted: bool,
): void {
  if (stream.promptKey == MAXIMUM) stream.hasMaximum = true;
  const wanted = wantedOf(stream, asked);
  if (<f64>wanted < asked) lowerTo(stream, wanted);
  const granted = grant(stream, wanted);
  const fits = <f64>granted >= asked && asked >= 1 && !quoted;
  const bytes = scan.bytes + (quoted ? 2 : 0);
  if (!takeValue(scan, bytes, at, held, !fits)) return;
  if (<f64>granted < asked || asked < 0) count(stream.cell, LIMIT_CLAMPED);
  putNumber(granted);
  fillUp(stream, bytes, <u32>writtenBytes());
}

/** A maximum is null: it is none. The API's own name for it gets a value here, as it may not stand there twice. */
export function nullMaximum(stream: Stream, scan: JsonScan, at: usize, held: u32): void {
  const api = stream.api;
  const isOwn =
    stream.inserts &&
    stream.promptKey == MAXIMUM &&
    (api.innerMaximum.length > 0 || stream.named == entryOf(stream, api.maximum));
  if (!takeValue(scan, scan.bytes, at, held, isOwn)) return;
  putUsual(stream);
  fillUp(stream, scan.bytes, <u32>writtenBytes());
}

/** Puts the maximum of a request that names none. */
export function putUsual(stream: Stream): void {
  const usual = usualMaximum(stream);
  const granted = grant(stream, usual);
  stream.hasMaximum = true;
  lowerTo(stream, granted);
  if (granted < usual || stream.clamps) count(stream.cell, LIMIT_CLAMPED);
  putNumber(granted);
}

function putNumber(value: u64): void {
  beginText();
  writeUint(value);
  putBytes(written(), writtenBytes());
}

/** Keeps the body as long as was promised, where `had` bytes became `has`. */
export function fillUp(stream: Stream, had: u32, has: u32): void {
  if (has <= had) putSpaces(had - has);
  else stream.room -= min(stream.room, has - had);
}
