import { count, FINISH_LENGTH, LIMIT_FINISHED } from "../measure";
import { allocate, beginText, writeUint, written, writtenBytes } from "../sdk";
import { choicesEnd } from "./answer";
import { keepTo, put, putBytes } from "./edit";
import { completionOf, promptOf } from "./end";
import { countOfTenant, Stream } from "./stream";

// A stream that its tenant cannot pay any longer ends as OpenAI's do: an event
// with finish_reason length, usage where the client asked for it, and [DONE].
// What the pod still sends is dropped.

/** So much of an event before its choices is kept, to name id and model in the last one. */
const MOST_HEAD: u32 = 512;
const CHOICES_KEY: u32 = 9; // "choices" with its quotes

const lines: usize = memory.data<u8>([0x0a, 0x0a]);

/** Keeps the head of an event: {"id": ..., "model": ..., up to its choices. */
export function keepHead(stream: Stream, from: usize, to: usize): void {
  if (stream.head == 0) stream.head = allocate(MOST_HEAD);
  const found = choicesEnd > from && choicesEnd <= to;
  const bytes = <u32>((found ? choicesEnd : to) - from);
  if (stream.headBytes + bytes > MOST_HEAD) {
    // Too long to keep: a last event without it still says what it has to.
    store<u8>(stream.head, 0x7b);
    stream.headBytes = 1;
    stream.headDone = true;
    return;
  }
  memory.copy(stream.head + stream.headBytes, from, bytes);
  stream.headBytes += bytes;
  if (!found || stream.headBytes < CHOICES_KEY) return;
  stream.headBytes -= CHOICES_KEY;
  stream.headDone = true;
}

/** Writes the end of the stream at the place `at` of the edit. */
export function finish(stream: Stream, at: usize): void {
  keepTo(at);
  begin(stream);
  put(stream.isText ? '[{"index":0,"text":"",' : '[{"index":0,"delta":{},');
  put(
    stream.clientAsks ? '"finish_reason":"length"}],"usage":null}' : '"finish_reason":"length"}]}',
  );
  putBytes(lines, 2);
  if (stream.clientAsks) {
    const prompt = promptOf(stream);
    const completion = completionOf(stream);
    begin(stream);
    put('[],"usage":{"prompt_tokens":');
    putNumber(prompt);
    put(',"completion_tokens":');
    putNumber(completion);
    put(',"total_tokens":');
    putNumber(prompt + completion);
    put("}}");
    putBytes(lines, 2);
  }
  put("data: [DONE]");
  putBytes(lines, 2);
  stream.isFinished = true;
  stream.isDone = true;
  countOfTenant(stream, FINISH_LENGTH);
  count(stream.cell, LIMIT_FINISHED);
}

function begin(stream: Stream): void {
  put("data: ");
  if (stream.headDone) putBytes(stream.head, stream.headBytes);
  else put("{");
  put('"choices":');
}

function putNumber(value: u32): void {
  beginText();
  writeUint(value);
  putBytes(written(), writtenBytes());
}
