import { COMMA, EQUALS, SEMICOLON, SPACE, TAB } from "../format/ascii-codes";
import { noteClaimed } from "../plugin";
import {
  beginText,
  findHeader,
  literal,
  nextHeader,
  overflowed,
  REQUEST_HEADERS,
  removeHeader,
  sameBytes,
  setHeader,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
  writeByte,
  writeBytes,
  writeText,
  written,
  writtenBytes,
} from "../sdk";

// W3C Baggage (w3.org/TR/baggage): "key=value;property, key=value". Services that
// stand behind the pods see no header of Weir's, but pass baggage on.
const baggage = literal("baggage");
const ours = literal("weir.shadow=");

/**
 * Makes the request's baggage say "weir.shadow=<tag>", or nothing of the kind
 * for tag 0. What others put there stays.
 */
export function markBaggage(tag: Text): void {
  const claimed = copyOthers();
  if (tag == 0 && !claimed) return;
  if (claimed) noteClaimed(baggage);
  if (overflowed()) beginText();
  if (tag != 0) {
    if (writtenBytes() > 0) writeByte(COMMA);
    writeText(ours);
    writeText(tag);
  }
  if (writtenBytes() == 0) removeHeader(REQUEST_HEADERS, baggage);
  else setHeader(REQUEST_HEADERS, baggage, written(), writtenBytes());
}

/** Starts a text with all members but ours; whether ours was among them. */
function copyOthers(): bool {
  let claimed = false;
  beginText();
  for (let row = findHeader(baggage); row != 0; row = nextHeader(baggage, row)) {
    const end = valuePtr(row) + valueBytes(row);
    let from = valuePtr(row);
    while (from < end) {
      let to = from;
      while (to < end && load<u8>(to) != COMMA) to++;
      if (isOurs(from, to)) claimed = true;
      else if (to > from) {
        if (writtenBytes() > 0) writeByte(COMMA);
        writeBytes(from, to - from);
      }
      from = to + 1;
    }
  }
  return claimed;
}

/** Whether a member has our key, with spaces where the grammar allows them. */
function isOurs(start: usize, end: usize): bool {
  const key = textBytes(ours) - 1;
  let from = start;
  while (from < end && isSpace(load<u8>(from))) from++;
  if (end - from < key || !sameBytes(textPtr(ours), from, key)) return false;
  let behind = from + key;
  while (behind < end && isSpace(load<u8>(behind))) behind++;
  return behind == end || load<u8>(behind) == EQUALS || load<u8>(behind) == SEMICOLON;
}

function isSpace(byte: u8): bool {
  return byte == SPACE || byte == TAB;
}
