import {
  failJson,
  hasFailed,
  member,
  nextElement,
  nextMember,
  openArray,
  openObject,
  readBool,
  unknownField,
} from "../format/json";
import { readHeaderName, readText } from "../format/values";
import { EXTENDED, Region, Text } from "../sdk";

// 16 entries of 17 conditions each, in a module that knows alternatives.
const MAX_MATCHES: i32 = EXTENDED ? 272 : 16;

export const EXACT: i32 = 1;
const PREFIX: i32 = 2;
export const PRESENT: i32 = 3;
export const ABSENT: i32 = 4;

/** Message FilterCondition. */
@unmanaged
export class Condition {
  next: usize;
  header: Text;
  kind: i32;
  value: Text;
  /** An alternative to those before it begins here. */
  or: bool;
}

/** Reads a list of matches, in reverse; 0 when it is empty or wrong. */
export function readMatches(region: Region): usize {
  let list: usize = 0;
  let count = 0;
  openArray();
  while (nextElement()) {
    if (++count > MAX_MATCHES)
      failJson(EXTENDED ? "has more than 272 conditions" : "has more than 16 matches");
    const match = changetype<Condition>(region.alloc(offsetof<Condition>()));
    readMatch(match, region);
    if (hasFailed()) return 0;
    match.next = list;
    list = changetype<usize>(match);
  }
  return list;
}

function readMatch(match: Condition, region: Region): void {
  openObject();
  while (nextMember()) {
    if (member("header")) match.header = readHeaderName(region);
    else if (EXTENDED && member("or")) match.or = readBool();
    else if (match.kind != 0 && !member("header"))
      failJson("is one of exact, prefix and present too many");
    else if (member("exact") || member("prefix")) {
      match.kind = member("exact") ? EXACT : PREFIX;
      match.value = readText(region, 256);
    } else if (member("present")) match.kind = readBool() ? PRESENT : ABSENT;
    else unknownField();
  }
  if (hasFailed()) return;
  if (match.header == 0) failJson("has no header");
  else if (match.kind == 0) failJson("must have one of exact, prefix and present");
}
