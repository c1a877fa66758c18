import { Host, policyOf, Route, SELECT } from "../document";
import { HASH, QUESTION_MARK, SLASH } from "../format/ascii-codes";
import { allHold } from "../match";
import {
  beginsWith,
  findHeader,
  isText,
  literal,
  Span,
  Text,
  textBytes,
  valueBytes,
  valuePtr,
} from "../sdk";
import { SelectEntry, SelectPolicy } from "./policy";

const pathName = literal(":path");
const methodName = literal(":method");

/** The path of the request without its query, and what of its host's entries was found to hold. */
const path = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));

/** The policy of a host's route. */
export function policyAtHost(host: Host): SelectPolicy | null {
  return policyOf<SelectPolicy>(host.route, SELECT);
}

/** Whether the requests for a host have to be told apart: it has several routes, or one that takes only some. */
export function selects(host: Host): bool {
  const policy = policyAtHost(host);
  return policy !== null && (host.other !== null || policy.entries != 0);
}

/** How the requests for a host name their model, by what all of its routes ask. */
@unmanaged
class HostModels {
  /** The header that a proxy in front wrote it into; 0: there is none. */
  header: Text;
  readsBody: bool;
  /** How much of a body may be held until it is known; 0 where no route asks for bodies. */
  heldBytes: usize;
}
const hostModels = changetype<HostModels>(memory.data(<i32>offsetof<HostModels>(), 8));

/** Reads that from the routes of a host; it stands until the next call. */
export function modelsOf(first: Host): HostModels {
  let bytes: u32 = 0;
  hostModels.header = 0;
  hostModels.readsBody = false;
  for (let host: Host | null = first; host !== null; host = host.other) {
    const policy = policyAtHost(host);
    if (policy === null) continue;
    if (hostModels.header == 0) hostModels.header = policy.modelHeader;
    if (policy.readsBody) hostModels.readsBody = true;
    bytes = max(bytes, policy.maxBodyBytes);
  }
  hostModels.heldBytes = hostModels.readsBody ? bytes : 0;
  return hostModels;
}

/** Whether a route of a host asks for the model of requests. */
export function asksModels(host: Host): bool {
  const models = modelsOf(host);
  return models.readsBody || models.header != 0;
}

/** Where the path of the request read last stands, without its query. */
export function requestPath(): Span {
  path.bytes = 0;
  const row = findHeader(pathName);
  if (row == 0) return path;
  path.ptr = valuePtr(row);
  const bytes = valueBytes(row);
  while (path.bytes < bytes && !endsPath(load<u8>(path.ptr + path.bytes))) path.bytes++;
  return path;
}

function endsPath(byte: u8): bool {
  return byte == QUESTION_MARK || byte == HASH;
}

/** Whether the request read last has this method. */
export function hasMethod(method: Text): bool {
  const row = findHeader(methodName);
  return row != 0 && isText(method, valuePtr(row), valueBytes(row));
}

/** What was chosen: a route, null where none takes the request, and the entry that says so. */
@unmanaged
class Choice {
  route: Route | null;
  entry: SelectEntry | null;
}
const choice = changetype<Choice>(memory.data(<i32>offsetof<Choice>(), 8));

/**
 * Chooses the route of the request read last: of the entries that hold, the one with the highest
 * rank; else the route without entries. It stands until the next call.
 *
 * @param modelBytes 0: the request names no model
 */
export function chooseRoute(first: Host, model: usize, modelBytes: usize): Choice {
  choice.route = null;
  choice.entry = null;
  let best: u32 = 0;
  requestPath();
  for (let host: Host | null = first; host !== null; host = host.other) {
    const policy = policyAtHost(host);
    if (policy === null) continue;
    if (policy.entries == 0 && best == 0) choice.route = host.route;
    for (let at = policy.entries; at != 0; at = changetype<SelectEntry>(at).next) {
      const entry = changetype<SelectEntry>(at);
      if (entry.rank <= best || !holds(entry, model, modelBytes)) continue;
      best = entry.rank;
      choice.route = host.route;
      choice.entry = entry;
    }
  }
  return choice;
}

function holds(entry: SelectEntry, model: usize, modelBytes: usize): bool {
  if (entry.model != 0 && !isText(entry.model, model, modelBytes)) return false;
  if (entry.modelPrefix != 0 && !beginsWith(entry.modelPrefix, model, modelBytes)) return false;
  if (entry.path != 0 && !isText(entry.path, path.ptr, path.bytes)) return false;
  if (entry.pathPrefix != 0 && !isBelow(entry.pathPrefix)) return false;
  if (entry.method != 0 && !hasMethod(entry.method)) return false;
  return entry.headers == 0 || allHold(entry.headers);
}

/** Whether the path is that of the prefix or one below it; below "/" are all. */
function isBelow(prefix: Text): bool {
  const bytes = textBytes(prefix);
  if (!beginsWith(prefix, path.ptr, path.bytes)) return false;
  return bytes == 1 || bytes == path.bytes || load<u8>(path.ptr + bytes) == SLASH;
}
