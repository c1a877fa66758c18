import { Route } from "../document";
import {
  failJson,
  hasFailed,
  member,
  nextElement,
  nextMember,
  openArray,
  openObject,
  readBool,
  readInteger,
  unknownField,
} from "../format/json";
import { readHeaderName, readText } from "../format/values";
import { readMatches } from "../match";
import { Region, Text } from "../sdk";

const MAX_ENTRIES: i32 = 4096;
const MAX_RANK: i32 = 0x7fffffff;
const MAX_NAME: usize = 256;
const MAX_PATH: usize = 1024;
const MAX_BODY: i32 = 1 << 25;

/** Message SelectEntry; 0 stands for what an entry does not ask. */
@unmanaged
export class SelectEntry {
  next: usize;
  rank: u32;
  model: Text;
  modelPrefix: Text;
  path: Text;
  pathPrefix: Text;
  method: Text;
  headers: usize;
}

/** Message SelectPolicy. */
@unmanaged
export class SelectPolicy {
  /** Linked list of its entries. */
  entries: usize;
  readsBody: bool;
  modelHeader: Text;
  acceptsUnreadable: bool;
  maxBodyBytes: u32;
}

export function parseSelect(region: Region): usize {
  const policy = changetype<SelectPolicy>(region.alloc(offsetof<SelectPolicy>()));
  openObject();
  while (nextMember()) {
    if (member("match")) readEntries(policy, region);
    else if (member("readsBody")) policy.readsBody = readBool();
    else if (member("modelHeader")) policy.modelHeader = readHeaderName(region);
    else if (member("acceptsUnreadable")) policy.acceptsUnreadable = readBool();
    else if (member("maxBodyBytes")) policy.maxBodyBytes = <u32>readInteger(1, MAX_BODY);
    else unknownField();
  }
  return changetype<usize>(policy);
}

/** Nothing of it lives longer than the region. */
export function bindSelect(_policy: usize, _route: Route): void {}

function readEntries(policy: SelectPolicy, region: Region): void {
  let count = 0;
  openArray();
  while (nextElement()) {
    if (++count > MAX_ENTRIES) failJson("has more than 4096 entries");
    const entry = changetype<SelectEntry>(region.alloc(offsetof<SelectEntry>()));
    readEntry(entry, region);
    if (hasFailed()) return;
    entry.next = policy.entries;
    policy.entries = changetype<usize>(entry);
  }
}

function readEntry(entry: SelectEntry, region: Region): void {
  openObject();
  while (nextMember()) {
    if (member("rank")) entry.rank = <u32>readInteger(1, MAX_RANK);
    else if (member("model")) entry.model = readText(region, MAX_NAME);
    else if (member("modelPrefix")) entry.modelPrefix = readText(region, MAX_NAME);
    else if (member("path")) entry.path = readText(region, MAX_PATH);
    else if (member("pathPrefix")) entry.pathPrefix = readText(region, MAX_PATH);
    else if (member("method")) entry.method = readText(region, 16);
    else if (member("headers")) entry.headers = readMatches(region);
    else unknownField();
  }
  if (!hasFailed() && entry.rank == 0) failJson("has no rank");
}
