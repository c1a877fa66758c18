import { CLOSE_BRACE, OPEN_BRACE, OPEN_BRACKET, PERCENT } from "../../format/ascii-codes";
import { count, FINISH_LENGTH, LIMIT_FINISHED } from "../../measure";
import { allocate, beginText, writeUint, written, writtenBytes } from "../../sdk";
import { keepTo, put, putByte, putBytes } from "../body-edit";
import { countOfTenant, Stream } from "../stream";
import { head } from "./answer";
import { completionOf, promptOf } from "./end-stream";

// A stream that its tenant cannot pay any longer ends as those of its API do (../apis
// has the words). What the pod still sends is dropped.
//
// In these words % and a letter stand for: h members of the first event before those
// that tell its news, i the choice or block, s the event's number, p, c and t tokens of
// the prompt, of the completion and both, n usage that is null; what stands between %{
// and %} comes once for each choice, between %[ and %] where the client asked for usage.

/** So much of an event is kept, to name id and model in the last one. */
const MAX_HEAD: u32 = 512;

/** Keeps the head of an event: what stands before its choices, with their id and model. */
export function keepHead(stream: Stream, from: usize, to: usize): void {
  if (stream.api.headEnd == 0) return;
  if (!stream.headBegun) {
    if (head.from == 0) return;
    stream.headBegun = true;
    from = head.from;
    if (stream.head == 0) stream.head = allocate(MAX_HEAD);
    stream.headBytes = 0;
  }
  const bytes = <i32>((head.to == 0 ? to : head.to) - from);
  stream.headDone = head.to != 0;
  // The name that ends it began in a piece before.
  if (bytes < 0) stream.headBytes -= min<u32>(stream.headBytes, -bytes);
  else if (stream.headBytes + bytes > MAX_HEAD) {
    // Too long to keep: a last event without it still says what it has to.
    stream.headBytes = 0;
    stream.headDone = true;
  } else {
    memory.copy(stream.head + stream.headBytes, from, bytes);
    stream.headBytes += bytes;
  }
}

/** Writes the end of the stream at the place `at` of the edit. */
export function finish(stream: Stream, at: usize): void {
  keepTo(at);
  const text = stream.api.end;
  const end = text.ptr + <usize>text.length;
  const choices = <u32>min(max<f64>(stream.choices, 1), 128);
  let choice: u32 = 0;
  let again: usize = 0;
  for (let from = text.ptr; from < end; from++) {
    const byte = load<u8>(from);
    if (byte != PERCENT) {
      putByte(byte);
      continue;
    }
    const letter = load<u8>(++from);
    if (letter == 0x68) {
      if (stream.headDone) putBytes(stream.head, stream.headBytes);
    } else if (letter == 0x69) putNumber(again == 0 ? stream.block : choice);
    else if (letter == 0x73) putNumber(stream.sequence + 1);
    else if (letter == 0x70) putNumber(promptOf(stream));
    else if (letter == 0x63) putNumber(completionOf(stream));
    else if (letter == 0x74) putNumber(promptOf(stream) + completionOf(stream));
    else if (letter == 0x6e) {
      if (stream.clientAsks) put(',"usage":null');
    } else if (letter == OPEN_BRACE) again = from;
    else if (letter == CLOSE_BRACE) {
      if (++choice < choices) from = again;
      else again = 0;
    } else if (letter == OPEN_BRACKET && !stream.clientAsks) {
      while (load<u16>(from) != 0x5d25) from++; // its %]
      from++;
    }
  }
  stream.isFinished = true;
  stream.isDone = true;
  countOfTenant(stream, FINISH_LENGTH, choices);
  count(stream.cell, LIMIT_FINISHED);
}

function putNumber(value: u32): void {
  beginText();
  writeUint(value);
  putBytes(written(), writtenBytes());
}
