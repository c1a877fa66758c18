import {
  COLON,
  COMMA,
  DOT,
  EQUALS,
  HYPHEN,
  NINE,
  PLUS,
  SEMICOLON,
  SLASH,
  UNDERSCORE,
} from "../../format/ascii-codes";
import { JsonScan, KEPT_BYTES, keptText, MIN_DENSE, STRING } from "../../format/json-scan";
import { levelAt } from "../levels";
import { Stream } from "../stream";

// Levels of requests, as ../../apis has them.
export const PROMPTS: u32 = 5; // e
export const TOKENS: u32 = 6; // f
export const MESSAGES: u32 = 7; // g

/** Data counts a byte of text for so many of its own: a token for each KiB, about what images and sounds turn out to cost. */
const BYTES_OF_DATA: u32 = 256;

/** Text counts by the bytes of UTF-8 that it has, tokens by number, data by a price of its own. */
export function readText(stream: Stream, scan: JsonScan): void {
  const level = levelAt(stream.promptWhere, scan.depth);
  if (scan.token == STRING) {
    if (level == PROMPTS) stream.prompts++;
    // A text among tokens may be the number of one.
    const minBytes: u32 = level == PROMPTS || level == TOKENS ? 4 : 0;
    stream.promptBytes += max(bytesOf(scan), minBytes);
  } else if (level == PROMPTS || level == TOKENS || level == MESSAGES) stream.promptBytes += 4;
}

/** Bytes of text that a string counts for, as far as it has come. */
export function bytesOf(scan: JsonScan): u32 {
  return isData(scan) ? scan.bytes / BYTES_OF_DATA : scan.bytes - scan.escaped;
}

/**
 * Whether a text is an image, a sound or a file: long, without spaces and with few
 * escapes, and at its beginning of the letters of a data URL or of base64, which has
 * capitals and small letters. Prose without spaces, code, lists and sequences of
 * letters are text.
 */
function isData(scan: JsonScan): bool {
  // Slashes and line ends are escaped in some.
  if (scan.bytes < MIN_DENSE || !scan.isDense || scan.escaped > scan.bytes / 16) return false;
  const text = keptText(scan);
  const isUrl = load<u32>(text) == 0x61746164 && load<u8>(text, 4) == COLON; // data:
  let cases: u32 = 0;
  for (let i: usize = 0; i < KEPT_BYTES; i++) {
    const byte = load<u8>(text + i);
    const lower = byte | 0x20;
    if (lower >= 0x61 && lower <= 0x7a) cases |= byte & 0x20 ? 2 : 1;
    else if (
      !(byte >= SLASH && byte <= NINE) &&
      byte != PLUS &&
      byte != HYPHEN &&
      byte != UNDERSCORE &&
      // ; , . : =
      !(
        isUrl &&
        (byte == SEMICOLON || byte == COMMA || byte == DOT || byte == COLON || byte == EQUALS)
      )
    )
      return false;
  }
  return isUrl || cases == 3;
}
