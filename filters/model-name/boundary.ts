import { CR, HYPHEN, LF, SLASH, SPACE, STAR } from "../format/ascii-codes";
import { isLiteral, Span } from "../sdk";
import { isToken, readParameter, toSmall } from "./parameters";
import { ModelReader, scratch } from "./reader";

/** RFC 2046, section 5.1.1. */
const MAX_BOUNDARY_BYTES: usize = 70;

const name = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));
const value = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));

/**
 * Takes the boundary out of a Content-Type, and makes the delimiter of it: CR LF - - boundary.
 * False where it has none, or more than one. Starlette decodes the fields of a form in the charset that is
 * named here: any but UTF-8 would make other models of the same bytes.
 *
 * @param from where the header's value stands; names are made small there
 */
export function takeBoundary(reader: ModelReader, from: usize, end: usize): bool {
  let at = from;
  while (at < end && (isToken(load<u8>(at)) || load<u8>(at) == SLASH)) at++;
  toSmall(from, at);
  if (!isLiteral("multipart/form-data", from, at - from)) return false;
  reader.delimiterBytes = 0;
  while (at < end) {
    at = readParameter(at, end, name, value);
    if (at == 0) return false;
    if (isLiteral("boundary", name.ptr, name.bytes)) {
      if (reader.delimiterBytes != 0 || !isBoundary(value)) return false;
      const to = scratch(reader);
      store<u8>(to, CR);
      store<u8>(to + 1, LF);
      store<u8>(to + 2, HYPHEN);
      store<u8>(to + 3, HYPHEN);
      memory.copy(to + 4, value.ptr, value.bytes);
      reader.delimiterBytes = <u8>(value.bytes + 4);
    } else if (isLiteral("charset", name.ptr, name.bytes)) {
      toSmall(value.ptr, value.ptr + value.bytes);
      if (!isLiteral("utf-8", value.ptr, value.bytes)) return false;
    } else if (hasStar(name)) return false;
  }
  return reader.delimiterBytes != 0;
}

/** Whether a parameter is a part of another one, or encoded (RFC 2231). */
export function hasStar(name: Span): bool {
  for (let i: usize = 0; i < name.bytes; i++) if (load<u8>(name.ptr + i) == STAR) return true;
  return false;
}

function isBoundary(value: Span): bool {
  if (value.bytes == 0 || value.bytes > MAX_BOUNDARY_BYTES) return false;
  for (let i: usize = 0; i < value.bytes; i++) {
    const c = load<u8>(value.ptr + i);
    // Quotes and backslashes are no part of it (see readParameter), nor is what does not print.
    if (c <= SPACE || c >= 0x7f) return false;
  }
  return true;
}
