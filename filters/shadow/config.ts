import { Route } from "../document";
import {
  failJson,
  hasFailed,
  member,
  nextMember,
  openObject,
  readBool,
  readInteger,
  readNumber,
  unknownField,
} from "../format/json";
import { readHeaderName, readText, readTexts } from "../format/values";
import { xxh64 } from "../format/xxh64";
import { readSources } from "../identity";
import { readMatches } from "../match";
import { modeHeader, tagHeader } from "../plugin";
import { Counter, countedBy } from "../report";
import { EXTENDED, Region, Text, textBytes, textPtr } from "../sdk";

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
  /** Largest body of a request that is tagged; 2^32 - 1: any. */
  maxBodyBytes: u32;
  /** Tagged requests go to the shadow variant themselves. */
  divert: bool;
  /** The filter stands at the shadow variant's own pods. */
  arrival: bool;
  /** Take less while the pods or the worker are saturated. */
  yields: bool;
  /** Tell services behind the pods. */
  baggage: bool;
  tagged: Counter;
}

export function parseShadow(region: Region): usize {
  const policy = changetype<ShadowPolicy>(region.alloc(offsetof<ShadowPolicy>()));
  policy.modeHeader = modeHeader;
  policy.tagHeader = tagHeader;
  policy.maxBodyBytes = u32.MAX_VALUE;
  openObject();
  while (nextMember()) {
    if (member("percent")) {
      policy.share = <u32>Math.round(readNumber(0, 100) * 100);
    } else if (member("tag")) policy.tag = readText(region, 63);
    else if (member("match")) policy.match = readMatches(region);
    else if (member("modeHeader")) policy.modeHeader = readHeaderName(region);
    else if (member("tagHeader")) policy.tagHeader = readHeaderName(region);
    else if (member("maxBodyBytes")) {
      policy.maxBodyBytes = readInteger(0, 1073741824);
    } else if (EXTENDED && member("divert")) policy.divert = readBool();
    else if (EXTENDED && member("arrival")) policy.arrival = readBool();
    else if (EXTENDED && member("yield")) policy.yields = readBool();
    else if (EXTENDED && member("baggage")) policy.baggage = readBool();
    else if (member("from")) policy.from = readTexts(region, 256);
    else if (member("identity")) policy.identity = readSources(region);
    else unknownField();
  }
  if (hasFailed()) return 0;
  if (policy.tag == 0) failJson("has no tag");
  else policy.seed = xxh64(textPtr(policy.tag), textBytes(policy.tag), 0);
  return changetype<usize>(policy);
}

export function bindShadow(at: usize, route: Route): void {
  changetype<ShadowPolicy>(at).tagged = countedBy("shadow_tagged", route, "", 0);
}
