import { BACKSLASH, EQUALS, HYPHEN, QUOTE, SEMICOLON, SPACE } from "../format/ascii-codes";
import { Span } from "../sdk";

// The parameters of Content-Type and Content-Disposition (RFC 2045, 2183), strictly. Readers differ
// on all that is left out here: a backslash is an escape for Python and Go, a letter for browsers, and
// what stands behind it decides where the value ends; email.message joins name*0 and name*1 to a name.

/** A letter of a token (RFC 9110): header names, names of parameters, values without quotes. */
export function isToken(c: u8): bool {
  const lower = c | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (c >= 0x30 && c <= 0x39) ||
    c == 0x21 || // !
    (c >= 0x23 && c <= 0x27) || // # $ % & '
    c == 0x2a || // *
    c == 0x2b || // +
    c == HYPHEN ||
    c == 0x2e || // .
    (c >= 0x5e && c <= 0x60) || // ^ _ `
    c == 0x7c || // |
    c == 0x7e // ~
  );
}

/** First byte that is no letter of a token. */
export function tokenEnd(from: usize, end: usize): usize {
  let at = from;
  while (at < end && isToken(load<u8>(at))) at++;
  return at;
}

/** Writes a range of bytes in small letters. */
export function toSmall(from: usize, end: usize): void {
  for (let at = from; at < end; at++) {
    const c = load<u8>(at);
    if (c >= 0x41 && c <= 0x5a) store<u8>(at, c | 0x20);
  }
}

/**
 * Reads one parameter, with the semicolon before it.
 *
 * @param name in small letters
 * @returns where reading goes on; 0 where it is none
 */
export function readParameter(from: usize, end: usize, name: Span, value: Span): usize {
  if (load<u8>(from) != SEMICOLON) return 0;
  let at = from + 1;
  while (at < end && load<u8>(at) == SPACE) at++;
  name.ptr = at;
  at = tokenEnd(at, end);
  name.bytes = at - name.ptr;
  if (name.bytes == 0 || at + 1 >= end || load<u8>(at) != EQUALS) return 0;
  toSmall(name.ptr, at);
  at++;
  if (load<u8>(at) != QUOTE) {
    value.ptr = at;
    at = tokenEnd(at, end);
    value.bytes = at - value.ptr;
    return value.bytes == 0 ? 0 : at;
  }
  value.ptr = ++at;
  while (at < end && load<u8>(at) != QUOTE) if (load<u8>(at++) == BACKSLASH) return 0;
  value.bytes = at - value.ptr;
  return at == end ? 0 : at + 1;
}
