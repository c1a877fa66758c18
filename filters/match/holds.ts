import { beginsWith, EXTENDED, findHeader, isText, nextHeader, valueBytes, valuePtr } from "../sdk";
import { ABSENT, Condition, EXACT, PRESENT } from "./read";

/** Whether the request's headers meet a list of conditions: all of an alternative; they meet an empty one. */
export function allHold(matches: usize): bool {
  let held = true;
  for (let at = matches; at != 0; at = changetype<Condition>(at).next) {
    const condition = changetype<Condition>(at);
    if (!holds(condition)) {
      if (!EXTENDED) return false;
      held = false;
    }
    // The list is in reverse: the first condition of an alternative comes last.
    if (EXTENDED && condition.or) {
      if (held) return true;
      held = true;
    }
  }
  return held;
}

/** All values of a repeated header must match: what stands behind may read any of them. */
function holds(match: Condition): bool {
  let row = findHeader(match.header);
  if (match.kind == PRESENT) return row != 0;
  if (match.kind == ABSENT) return row == 0;
  if (row == 0) return false;
  for (; row != 0; row = nextHeader(match.header, row))
    if (!fits(match, valuePtr(row), valueBytes(row))) return false;
  return true;
}

function fits(match: Condition, ptr: usize, bytes: usize): bool {
  return match.kind == EXACT
    ? isText(match.value, ptr, bytes)
    : beginsWith(match.value, ptr, bytes);
}
