import { DOT, HYPHEN, NINE, PLUS, ZERO } from "../format/ascii-codes";
import { Ascii } from "../sdk";
import {
  AFTER,
  EXPONENT,
  EXPONENT_SIGN,
  FRACTION,
  IN_WORD,
  LEADING_ZERO,
  POINT,
  POWER,
  SIGN,
  WHOLE,
} from "./json-places";
import { BROKEN, ModelReader, refuse } from "./reader";

/** Python's int() refuses longer ones, and json.loads with it. */
const MAX_DIGITS: u16 = 4300;

/** Begins a number or a word by its first letter; false where it is neither. */
export function beginScalar(reader: ModelReader, c: u8): bool {
  if (c == ZERO) reader.where = LEADING_ZERO;
  else if (c == HYPHEN) reader.where = SIGN;
  else if (c > ZERO && c <= NINE) reader.where = WHOLE;
  else if (c == 0x74) beginWord(reader, "true");
  else if (c == 0x66) beginWord(reader, "false");
  else if (c == 0x6e) beginWord(reader, "null");
  else if (c == 0x4e) beginWord(reader, "NaN");
  else if (c == 0x49) beginWord(reader, "Infinity");
  else return false;
  reader.digits = 1;
  return true;
}

function beginWord(reader: ModelReader, word: Ascii): void {
  reader.where = IN_WORD;
  reader.word = word.ptr + 1;
  reader.left = <u8>(word.length - 1);
}

export function readWord(reader: ModelReader, from: usize, end: usize): usize {
  let at = from;
  while (at < end && reader.left > 0) {
    if (load<u8>(at++) != load<u8>(reader.word++)) {
      refuse(reader, BROKEN);
      return end;
    }
    reader.left--;
  }
  if (reader.left == 0) reader.where = AFTER;
  return at;
}

/** Reads on in a number; what follows it is left. */
export function readNumber(reader: ModelReader, from: usize, end: usize): usize {
  let at = from;
  let where = reader.where;
  for (; at < end; at++) {
    const c = load<u8>(at);
    const isDigit = c >= ZERO && c <= NINE;
    if (isDigit && where == WHOLE) {
      if (++reader.digits > MAX_DIGITS) refuse(reader, BROKEN);
    } else if (isDigit && where != LEADING_ZERO) {
      if (where == SIGN) where = c == ZERO ? LEADING_ZERO : WHOLE;
      else where = where == POINT || where == FRACTION ? FRACTION : POWER;
    } else if (c == DOT && (where == LEADING_ZERO || where == WHOLE)) where = POINT;
    else if ((c | 0x20) == 0x65 && canEnd(where) && where != POWER) where = EXPONENT;
    else if ((c == PLUS || c == HYPHEN) && where == EXPONENT) where = EXPONENT_SIGN;
    else if (c == 0x49 && where == SIGN) {
      beginWord(reader, "Infinity");
      return at + 1;
    } else {
      if (canEnd(where)) where = AFTER;
      else refuse(reader, BROKEN);
      break;
    }
    if (reader.digits > MAX_DIGITS) break;
  }
  reader.where = where;
  return at;
}

function canEnd(where: u8): bool {
  return where == LEADING_ZERO || where == WHOLE || where == FRACTION || where == POWER;
}
