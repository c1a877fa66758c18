import { ModelReader } from "./reader";

/**
 * Takes the next byte of a text; false where it is no UTF-8 (RFC 3629). Characters may be split
 * between pieces, so that this looks at one byte and remembers.
 */
export function isUtf8(reader: ModelReader, byte: u8): bool {
  if (reader.charLeft > 0) {
    if (byte < reader.charMin || byte > reader.charMax) return false;
    reader.charLeft--;
    reader.charMin = 0x80;
    reader.charMax = 0xbf;
    return true;
  }
  if (byte < 0x80) return true;
  if (byte < 0xc2 || byte > 0xf4) return false;
  reader.charLeft = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
  // Overlong forms, surrogates, and what is beyond Unicode.
  reader.charMin = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
  reader.charMax = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
  return true;
}
