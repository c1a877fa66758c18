import { Route } from "../document";
import {
  failJson,
  jsonFailure,
  member,
  nextElement,
  nextMember,
  numberRead,
  openArray,
  openObject,
  readBool,
  readNumber,
  unknownField,
} from "../format/json";
import { readHeaderName, readText, readTexts } from "../format/values";
import { xxh64 } from "../format/xxh64";
import { readSources } from "../identity";
import { modeHeader, tagHeader } from "../plugin";
import { countedBy } from "../report";
import { Metric, Region, Text, textBytes, textPtr } from "../sdk";

const MOST_MATCHES: i32 = 16;

export const EXACT: i32 = 1;
export const PREFIX: i32 = 2;
export const PRESENT: i32 = 3;
export const ABSENT: i32 = 4;

/** Message HeaderMatch. */
@unmanaged
export class HeaderMatch {
  next: usize;
  header: Text;
  kind: i32;
  value: Text;
}

/** Message ShadowPolicy. */
@unmanaged
export class ShadowPolicy {
  /** Of 10,000. */
  share: u32;
  seed: u64;
  tag: Text;
  match: usize;
  modeHeader: Text;
  tagHeader: Text;
  from: usize;
  identity: usize;
  tagged: Metric;
}

export function parseShadow(region: Region): usize {
  const policy = changetype<ShadowPolicy>(region.alloc(offsetof<ShadowPolicy>()));
  policy.modeHeader = modeHeader;
  policy.tagHeader = tagHeader;
  openObject();
  while (nextMember()) {
    if (member("percent")) {
      if (readNumber(0, 100)) policy.share = <u32>Math.round(numberRead * 100);
    } else if (member("tag")) policy.tag = readText(region, 63);
    else if (member("match")) policy.match = readMatches(region);
    else if (member("modeHeader")) policy.modeHeader = readHeaderName(region);
    else if (member("tagHeader")) policy.tagHeader = readHeaderName(region);
    else if (member("from")) policy.from = readTexts(region, 256);
    else if (member("identity")) policy.identity = readSources(region);
    else unknownField();
  }
  if (jsonFailure.length > 0) return 0;
  if (policy.tag == 0) failJson("has no tag");
  else policy.seed = xxh64(textPtr(policy.tag), textBytes(policy.tag), 0);
  return changetype<usize>(policy);
}

function readMatches(region: Region): usize {
  let list: usize = 0;
  let count = 0;
  openArray();
  while (nextElement()) {
    if (++count > MOST_MATCHES) failJson("has more than 16 matches");
    const match = changetype<HeaderMatch>(region.alloc(offsetof<HeaderMatch>()));
    readMatch(match, region);
    if (jsonFailure.length > 0) return 0;
    match.next = list;
    list = changetype<usize>(match);
  }
  return list;
}

function readMatch(match: HeaderMatch, region: Region): void {
  openObject();
  while (nextMember()) {
    if (member("header")) match.header = readHeaderName(region);
    else if (match.kind != 0 && !member("header"))
      failJson("is one of exact, prefix and present too many");
    else if (member("exact") || member("prefix")) {
      match.kind = member("exact") ? EXACT : PREFIX;
      match.value = readText(region, 256);
    } else if (member("present")) match.kind = readBool() ? PRESENT : ABSENT;
    else unknownField();
  }
  if (jsonFailure.length > 0) return;
  if (match.header == 0) failJson("has no header");
  else if (match.kind == 0) failJson("must have one of exact, prefix and present");
}

export function bindShadow(at: usize, route: Route): void {
  changetype<ShadowPolicy>(at).tagged = countedBy("shadow_tagged", route.name, "", 0);
}
