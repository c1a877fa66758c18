import { Region, Text, textBytes, textPtr } from "../sdk";
import { HYPHEN, NINE, ZERO } from "./ascii-codes";
import { failJson, jsonString, keepString, nextElement, openArray, readString } from "./json";

// Values that several members share, read into the region of a configuration.

/** A copy of the string, or of the member's name, read last: 1 to `max` bytes; 0 after a failure. */
export function keepText(region: Region, max: usize): Text {
  const bytes = jsonString.bytes;
  if (bytes == 0) failJson("must not be empty");
  else if (bytes > max) failJson("is too long");
  else return keepString(region);
  return 0;
}

/** A string of 1 to `max` bytes; 0 after a failure. */
export function readText(region: Region, max: usize): Text {
  return readString() ? keepText(region, max) : 0;
}

// The characters of a token but for capital letters, as two sets of 64 bits:
// ! # $ % & ' * + - . 0-9 and ^ _ ` a-z | ~
const TOKEN_LOW: u64 = 0x03ff6cfa00000000;
const TOKEN_HIGH: u64 = 0x57ffffffc0000000;

/** A header name as it stands on the wire: a lower-case token of RFC 9110, section 5.6.2. */
export function readHeaderName(region: Region): Text {
  const name = readText(region, 128);
  if (name == 0) return 0;
  for (let i: usize = 0; i < textBytes(name); i++) {
    const c = load<u8>(textPtr(name) + i);
    // Bit c of the set; in a shift only the low six bits of the count matter.
    if ((((c < 64 ? TOKEN_LOW : c < 128 ? TOKEN_HIGH : 0) >> c) & 1) != 0) continue;
    failJson("must be a lower-case header name");
    return 0;
  }
  return name;
}

/** A copy of the member's name, or the string, read last: a DNS-1123 label; 0 after a failure. */
export function keepLabel(region: Region): Text {
  const label = keepText(region, 63);
  if (label != 0 && !isLabel(textPtr(label), textBytes(label))) {
    failJson("must be a DNS-1123 label");
    return 0;
  }
  return label;
}

/** A DNS-1123 label. */
export function readLabel(region: Region): Text {
  return readString() ? keepLabel(region) : 0;
}

function isLabel(ptr: usize, bytes: usize): bool {
  if (bytes == 0 || bytes > 63) return false;
  for (let i: usize = 0; i < bytes; i++) {
    const c = load<u8>(ptr + i);
    const inner = c == HYPHEN && i > 0 && i < bytes - 1;
    if (!inner && !((c >= 0x61 && c <= 0x7a) || (c >= ZERO && c <= NINE))) return false;
  }
  return true;
}

/** A list of texts as a linked list of (next, text), in reverse order; 0 when empty or after a failure. */
export function readTexts(region: Region, max: usize): usize {
  let list: usize = 0;
  openArray();
  while (nextElement()) {
    const text = readText(region, max);
    if (text == 0) return 0;
    const link = region.alloc(8);
    store<usize>(link, list);
    store<usize>(link, text, 4);
    list = link;
  }
  return list;
}
