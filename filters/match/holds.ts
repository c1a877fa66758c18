import {
  findHeader,
  isText,
  nextHeader,
  sameBytes,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { ABSENT, EXACT, HeaderMatch, PRESENT } from "./read";

/** Whether the request's headers fit all of the matches; they fit none at all. */
export function allHold(matches: usize): bool {
  for (let at = matches; at != 0; at = changetype<HeaderMatch>(at).next)
    if (!holds(changetype<HeaderMatch>(at))) return false;
  return true;
}

/** All values of a repeated header must match: what stands behind may read any of them. */
function holds(match: HeaderMatch): bool {
  let row = findHeader(match.header);
  if (match.kind == PRESENT) return row != 0;
  if (match.kind == ABSENT) return row == 0;
  if (row == 0) return false;
  for (; row != 0; row = nextHeader(match.header, row))
    if (!fits(match, valuePtr(row), valueBytes(row))) return false;
  return true;
}

function fits(match: HeaderMatch, ptr: usize, bytes: usize): bool {
  return match.kind == EXACT
    ? isText(match.value, ptr, bytes)
    : startsWith(match.value, ptr, bytes);
}

function startsWith(prefix: Text, ptr: usize, bytes: usize): bool {
  return textBytes(prefix) <= bytes && sameBytes(textPtr(prefix), ptr, textBytes(prefix));
}
