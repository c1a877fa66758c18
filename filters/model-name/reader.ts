import { putUtf8 } from "../format/json-text";

// What is known of one body: a struct of fixed size, so that a stream needs one allocation.

/** Longer names are refused: no server has one, and a struct has to end somewhere. */
const MAX_MODEL_BYTES: u32 = 256;
/** A code point is written whole before it is found too long. */
const MODEL_ROOM: usize = 264;

/** More of the body is needed. */
export const READING: u8 = 0;
/** The model is known. What follows may still turn this into a refusal. */
export const FOUND: u8 = 1;
/** The body is whole, and names no model. */
export const ABSENT: u8 = 2;
/** The body is no JSON object, or no form, that all servers read alike. This and what follows are refusals. */
export const BROKEN: u8 = 3;
/** The model is no text: a number, null, an object, a file, half a surrogate pair, control characters. */
export const NOT_TEXT: u8 = 4;
/** The model is the empty text. */
export const EMPTY: u8 = 5;
/** The model has more than 256 bytes. */
export const TOO_LONG: u8 = 6;
/** There are two models: some servers take the first, some the last. */
export const TWICE: u8 = 7;
/**
 * There is a "Model" or "MODEL". Servers in Go (Ollama, LocalAI) take it for the model, those in
 * Python do not.
 */
export const MISSPELLED: u8 = 8;
/** Objects and arrays stand in each other more than 512 deep. */
export const TOO_DEEP: u8 = 9;

/** What becomes of the text that is being read. */
export const IGNORED: u8 = 0;
export const NAME: u8 = 1;
export const MODEL: u8 = 2;

@unmanaged
export class ModelReader {
  /** READING, FOUND, ABSENT, or a refusal. */
  state: u8;
  isForm: bool;
  /** Where in the grammar the next byte stands; see json.ts and form.ts. */
  where: u8;
  /** What becomes of the text that is being read: IGNORED, NAME or MODEL. */
  takes: u8;

  /** Bytes to come of a character beyond ASCII, and the bounds of the next one. */
  charLeft: u8;
  charMin: u8;
  charMax: u8;

  /** JSON: whether the innermost level is an object, and whether the next value is the model. */
  inObject: bool;
  isNamed: bool;
  /** JSON: whether a text is the key of a member, at any level. */
  isKey: bool;
  /** JSON: bytes of the word, or digits of the escape, that are still to come. */
  left: u8;
  /** JSON: the digits of an escape so far, and the first half of a surrogate pair. */
  hex: u16;
  high: u16;
  /** JSON: open objects and arrays. */
  depth: u16;
  /** JSON: digits of a whole number. */
  digits: u16;
  /** JSON: the letter that comes next in a word. */
  word: usize;

  /** Form: what the headers of the part said. */
  hasName: bool;
  isFile: bool;
  isEncoded: bool;
  /** Form: whether all data of the part so far are the beginning of a boundary. */
  atStart: bool;
  /** Form: how much of the delimiter stands right before the next byte, and how much there is. */
  matched: u8;
  delimiterBytes: u8;

  /** Bytes of the name or of the line that is kept; more than fit are counted. */
  kept: u16;
  /** Bytes of the model. */
  bytes: u16;
}

/** What a form keeps beside the model: its delimiter, and a line of headers. */
const DELIMITER_ROOM: usize = 80;
/** Longer lines of a part's headers are refused. File names have at most 255 bytes, 765 as escapes. */
export const LINE_ROOM: u32 = 1200;

const MODEL_AT: usize = offsetof<ModelReader>();
const SCRATCH_AT: usize = MODEL_AT + MODEL_ROOM;

/** How much memory a reader takes. */
export const MODEL_READER_BYTES: usize = SCRATCH_AT + DELIMITER_ROOM + LINE_ROOM;

/** Where the model stands, as UTF-8 without escapes. */
export function modelPtr(reader: ModelReader): usize {
  return changetype<usize>(reader) + MODEL_AT;
}

/** Bytes of the model that are read so far. */
export function modelBytes(reader: ModelReader): usize {
  return reader.bytes;
}

/** JSON: a bit for each open level. Form: the delimiter. */
export function scratch(reader: ModelReader): usize {
  return changetype<usize>(reader) + SCRATCH_AT;
}

/** The name or the line of headers that is being read. */
export function keptPtr(reader: ModelReader): usize {
  return scratch(reader) + DELIMITER_ROOM;
}

/** Makes a reader new. */
export function resetReader(reader: ModelReader): void {
  memory.fill(changetype<usize>(reader), 0, MODEL_AT);
}

/** Whether reading on is no use. */
export function isRefused(reader: ModelReader): bool {
  return reader.state >= BROKEN;
}

/** Ends the reading: nothing changes the state any more. */
export function refuse(reader: ModelReader, state: u8): void {
  reader.state = state;
}

/** Keeps a byte of a name or a line, as far as there is room. */
export function keep(reader: ModelReader, byte: u8): void {
  const kept: u32 = reader.kept;
  if (kept < LINE_ROOM) store<u8>(keptPtr(reader) + kept, byte);
  if (kept <= LINE_ROOM) reader.kept = <u16>(kept + 1);
}

/**
 * Takes a byte into the model. Control characters stand in no model's name, and a name goes on into
 * headers and logs.
 */
export function putByte(reader: ModelReader, byte: u8): void {
  if (byte < 0x20 || byte == 0x7f) refuse(reader, NOT_TEXT);
  else {
    store<u8>(modelPtr(reader) + reader.bytes, byte);
    grow(reader, 1);
  }
}

/** Takes a character of the model that was written as an escape. */
export function putPoint(reader: ModelReader, point: i32): void {
  if (point < 0x80) putByte(reader, <u8>point);
  else {
    const to = modelPtr(reader) + reader.bytes;
    grow(reader, <u32>(putUtf8(to, point) - to));
  }
}

function grow(reader: ModelReader, by: u32): void {
  const bytes = <u32>reader.bytes + by;
  reader.bytes = <u16>bytes;
  if (bytes > MAX_MODEL_BYTES) refuse(reader, TOO_LONG);
}

/** The model is whole. */
export function endModelText(reader: ModelReader): void {
  reader.takes = IGNORED;
  if (reader.bytes == 0) refuse(reader, EMPTY);
  else reader.state = FOUND;
}
