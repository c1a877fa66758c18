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

export function textPtr(text: Text): usize {
  return text + HEADER;
}

export function textBytes(text: Text): usize {
  return load<u32>(text, 4);
}

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

/** Text of an ASCII literal; only for constants, its memory is never freed. */
export function literal(value: string): Text {
  const bytes = <usize>value.length;
  const text = heap.alloc(HEADER + bytes);
  for (let i: usize = 0; i < bytes; i++)
    store<u8>(text + HEADER + i, load<u16>(changetype<usize>(value) + (i << 1)));
  return seal(text, bytes);
}

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

/** Whether a byte range is this text. */
export function isText(text: Text, ptr: usize, bytes: usize): bool {
  return textBytes(text) == bytes && sameBytes(textPtr(text), ptr, bytes);
}

/** Whether a byte range is this ASCII literal; compares in place, allocates nothing. */
export function isLiteral(value: string, ptr: usize, bytes: usize): bool {
  if (<usize>value.length != bytes) return false;
  for (let i: usize = 0; i < bytes; i++)
    if (<u16>load<u8>(ptr + i) != load<u16>(changetype<usize>(value) + (i << 1))) return false;
  return true;
}
