import {
  failJson,
  hasFailed,
  isString,
  member,
  nextElement,
  nextMember,
  openArray,
  openObject,
  readBool,
  readString,
  unknownField,
} from "../format/json";
import { readHeaderName } from "../format/values";
import { EXTENDED, RANGES, Region, Text } from "../sdk";
import { readRanges } from "./ranges";

export const HEADER: i32 = 0;
export const API_KEY: i32 = 1;
export const SOURCE_IP: i32 = 2;
/** Subject alternative name of the client certificate of the connection. */
export const CONNECTION_SAN: i32 = 3;
/** The same, as the proxy before this one forwards it. */
const FORWARDED_SAN: i32 = 4;

const MAX_SOURCES: i32 = 8;

/** One place of a request that tells who is calling; message KeySource. */
@unmanaged
export class KeySource {
  next: usize;
  kind: i32;
  /** Name of the header, for HEADER. */
  header: Text;
  /** Ranges of addresses that have a name in common, for SOURCE_IP. */
  ranges: usize;
}

/** Reads a list of sources in its order; 0 when it is empty or wrong. */
export function readSources(region: Region): usize {
  let head: usize = 0;
  let last: usize = 0;
  let count = 0;
  openArray();
  while (nextElement()) {
    if (++count > MAX_SOURCES) failJson("has more than 8 sources");
    const source = readSource(region);
    if (hasFailed()) return 0;
    if (last == 0) head = source;
    else changetype<KeySource>(last).next = source;
    last = source;
  }
  return head;
}

function readSource(region: Region): usize {
  const source = changetype<KeySource>(region.alloc(offsetof<KeySource>()));
  let members = 0;
  openObject();
  while (nextMember()) {
    if (RANGES && member("ranges")) {
      source.ranges = readRanges(region);
      continue;
    }
    members++;
    if (member("header")) {
      source.kind = HEADER;
      source.header = readHeaderName(region);
    } else if (member("apiKey") || member("sourceIp")) {
      source.kind = member("apiKey") ? API_KEY : SOURCE_IP;
      if (!readBool()) failJson("must be true");
    } else if (EXTENDED && member("san")) source.kind = readSan();
    else unknownField();
  }
  if (!hasFailed() && members != 1)
    failJson("must have exactly one of header, apiKey and sourceIp");
  return changetype<usize>(source);
}

function readSan(): i32 {
  if (!readString()) return 0;
  if (isString("connection")) return CONNECTION_SAN;
  if (!isString("forwarded")) failJson("must be connection or forwarded");
  return FORWARDED_SAN;
}
