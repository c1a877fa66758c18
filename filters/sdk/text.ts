import { Ascii } from "./ascii";
import { sameBytes } from "./memory";
import { Region } from "./region";

/**
 * Text is a pointer to bytes with their length in front:
 *
 *   u32 tag | u32 length | bytes ...
 *
 * The tag (length, first and last byte) lets a search over headers compare one
 * word before it compares bytes.
 */
export type Text = usize;

const HEADER: usize = 8;

/** Where the bytes of a text stand. */
export function textPtr(text: Text): usize {
  return text + HEADER;
}

/** Length of a text, in bytes. */
export function textBytes(text: Text): usize {
  return load<u32>(text, 4);
}

/** The tag of a text; see {@link Text}. */
export function textTag(text: Text): u32 {
  return load<u32>(text);
}

/** The tag of a byte range; equal ranges have equal tags. */
export function tagOf(ptr: usize, bytes: usize): u32 {
  if (bytes == 0) return 0;
  return (
    (<u32>bytes & 0xffff) | ((<u32>load<u8>(ptr)) << 16) | ((<u32>load<u8>(ptr + bytes - 1)) << 24)
  );
}

/**
 * Text of an ASCII literal. The build replaces each call by the address of static
 * data (tools/ascii-literals.js); anything but a literal ends in an import that no host has.
 */
export declare function literal(value: string): Text;

/** A copy of a byte range that lives as long as the region. */
export function copyText(region: Region, ptr: usize, bytes: usize): Text {
  const text = region.alloc(HEADER + bytes);
  memory.copy(text + HEADER, ptr, bytes);
  return seal(text, bytes);
}

function seal(text: usize, bytes: usize): Text {
  store<u32>(text, tagOf(text + HEADER, bytes));
  store<u32>(text, <u32>bytes, 4);
  return text;
}

/** Whether a byte range begins with this text. */
export function beginsWith(prefix: Text, ptr: usize, bytes: usize): bool {
  return textBytes(prefix) <= bytes && sameBytes(textPtr(prefix), ptr, textBytes(prefix));
}

/** Whether a byte range is this text. */
export function isText(text: Text, ptr: usize, bytes: usize): bool {
  return textBytes(text) == bytes && sameBytes(textPtr(text), ptr, bytes);
}

/** Whether a byte range is this ASCII literal; compares in place, allocates nothing. */
export function isLiteral(value: Ascii, ptr: usize, bytes: usize): bool {
  return <usize>value.length == bytes && sameBytes(value.ptr, ptr, bytes);
}
