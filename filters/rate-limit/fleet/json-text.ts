import { BACKSLASH, QUOTE, SPACE } from "../../format/ascii-codes";
import { Text, textBytes, textPtr, write, writeByte } from "../../sdk";

/** Writes text of a configuration into a JSON string (RFC 8259, section 7); it is UTF-8 already. */
export function writeJsonText(text: Text): void {
  for (let i: usize = 0; i < textBytes(text); i++) {
    const byte = load<u8>(textPtr(text) + i);
    if (byte == QUOTE || byte == BACKSLASH) writeByte(BACKSLASH);
    if (byte >= SPACE) writeByte(byte);
    else {
      write("\\u00");
      writeByte(48 + (byte >> 4));
      writeByte((byte & 15) < 10 ? 48 + (byte & 15) : 87 + (byte & 15));
    }
  }
}
