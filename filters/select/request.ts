import { Api, apiOf, FREE, isEncoded, unknownApi } from "../apis";
import { Host } from "../document";
import {
  ABSENT,
  BROKEN,
  endModel,
  FOUND,
  isRefused,
  MISSPELLED,
  ModelReader,
  modelBytes,
  modelPtr,
  openFormReader,
  openModelReader,
  READING,
  readModel,
  TWICE,
} from "../model-name";
import { openHost, routeHeader } from "../plugin";
import {
  Ascii,
  CONTINUE,
  findHeader,
  hasHeader,
  isText,
  literal,
  REQUEST_BODY,
  REQUEST_HEADERS,
  readBodyFrom,
  readHeaders,
  removeHeader,
  resetArena,
  STOP_ITERATION,
  setHeader,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import {
  asksModels,
  chooseRoute,
  hasMethod,
  modelsOf,
  policyAtHost,
  requestPath,
  selects,
} from "./choose";
import { Held, heldRequest, hold, letGo } from "./held";
import { replyModels } from "./models-list";
import { reasonOf } from "./reason";
import { refuseLong, refuseMissing, refuseModel, refuseUnread, refuseUnrouted } from "./refusal";

const get = literal("GET");
const post = literal("POST");
const modelsPath = literal("/v1/models");
const modelHeader = literal("x-weir-model");
const contentType = literal("content-type");

/** Chooses the route of a request, or holds it until its body names its model. */
export function onSelect(context: u32, last: bool): i32 {
  const host = openHost();
  if (host === null || !selects(host)) return CONTINUE;
  const models = modelsOf(host);
  const given: usize = models.header == 0 ? 0 : findHeader(models.header);
  if (given != 0) return select(host, valuePtr(given), valueBytes(given));
  const maxBytes = models.heldBytes;
  if (maxBytes == 0 || last || !hasMethod(post)) return select(host, 0, 0);
  if (isEncoded()) return unreadable(host, "the body is encoded, so it cannot be read");
  open(hold(context, maxBytes));
  return STOP_ITERATION;
}

/** A form has its model in a field of that name, everything else is read as JSON. */
function open(held: Held): void {
  const row = findHeader(contentType);
  if (row != 0 && isForm(valuePtr(row), valueBytes(row)))
    openFormReader(held.reader, valuePtr(row), valueBytes(row));
  else openModelReader(held.reader);
}

const form = literal("multipart/form-data");

function isForm(ptr: usize, bytes: usize): bool {
  if (bytes < textBytes(form)) return false;
  for (let i: usize = 0; i < textBytes(form); i++)
    if ((load<u8>(ptr + i) | 0x20) != (load<u8>(textPtr(form) + i) | 0x20)) return false;
  return true;
}

/** Reads what came of a body. */
export function onSelectBody(context: u32, bytes: usize, last: bool): i32 {
  const held = heldRequest(context);
  if (held === null) return CONTINUE;
  resetArena();
  // While a request is held, the host shows all that came of it so far.
  const from = held.waits ? held.seenBytes : 0;
  const piece = readBodyFrom(REQUEST_BODY, from, bytes - from);
  held.seenBytes = bytes;
  if (piece !== null) {
    // However much came at once: a model that stands beyond the limit comes too late.
    const first = held.waits
      ? min<usize>(piece.bytes, max(held.maxBytes, from) - from)
      : piece.bytes;
    readModel(held.reader, piece.ptr, first);
    if (first < piece.bytes) {
      if (held.reader.state == READING) return decide(context, held, last);
      readModel(held.reader, piece.ptr + first, piece.bytes - first);
    }
  }
  if (last) endModel(held.reader);
  if (!held.waits) return readOn(context, held, last);
  if (held.reader.state == READING) return STOP_ITERATION;
  return decide(context, held, last);
}

/** Trailers end a body without telling its callback. */
export function onSelectTrailers(context: u32): i32 {
  const held = heldRequest(context);
  if (held === null) return CONTINUE;
  resetArena();
  endModel(held.reader);
  return held.waits ? decide(context, held, true) : readOn(context, held, true);
}

/** A second model, or what is no JSON, behind the one that was chosen by: servers may take another one. */
function readOn(context: u32, held: Held, last: bool): i32 {
  if (isRefused(held.reader)) {
    // The headers are out of reach by now, and with them what API it is; those read last may be another
    // request's, and their memory is used anew.
    readHeaders(REQUEST_HEADERS);
    refuseUnread(unknownApi.errors, reasonOf(held.reader.state));
    letGo(context);
    return STOP_ITERATION;
  }
  if (last) letGo(context);
  return CONTINUE;
}

function decide(context: u32, held: Held, last: bool): i32 {
  held.waits = false;
  // The configuration may be another one than when the headers came.
  const host = openHost();
  const reader = held.reader;
  const state = reader.state;
  let result = CONTINUE;
  if (host === null || !selects(host)) letGo(context);
  else if (state == FOUND) result = select(host, modelPtr(reader), modelBytes(reader));
  else if (state == ABSENT) result = select(host, 0, 0);
  else {
    // What named a model and went on wrongly is no one's to accept, as it is where both come apart.
    if (state == READING) result = tooLate(host);
    else if (hasNamed(reader)) result = refused(reasonOf(state));
    else result = unreadable(host, reasonOf(state));
    letGo(context);
    return result;
  }
  if (last || result != CONTINUE) letGo(context);
  return result;
}

/** Whether the model of a body that is refused was whole. */
function hasNamed(reader: ModelReader): bool {
  return (
    modelBytes(reader) != 0 &&
    (reader.state == TWICE || reader.state == BROKEN || reader.state == MISSPELLED)
  );
}

function refused(reason: Ascii): i32 {
  refuseUnread(wordsOf(), reason);
  return STOP_ITERATION;
}

/** Sends the request to the route that takes it, or refuses it. */
function select(host: Host, model: usize, bytes: usize): i32 {
  const choice = chooseRoute(host, model, bytes);
  const entry = choice.entry;
  if (bytes == 0 && hasMethod(get) && isModelsPath() && asksModels(host)) {
    // A route that asks for this path answers itself.
    if (entry === null || (entry.path == 0 && entry.pathPrefix == 0)) {
      replyModels(host);
      return STOP_ITERATION;
    }
  }
  const route = choice.route;
  if (route === null) {
    refuseChoice(host, model, bytes);
    return STOP_ITERATION;
  }
  setHeader(REQUEST_HEADERS, routeHeader, textPtr(route.name), textBytes(route.name));
  if (bytes != 0) setHeader(REQUEST_HEADERS, modelHeader, model, bytes);
  else if (hasHeader(modelHeader)) removeHeader(REQUEST_HEADERS, modelHeader);
  return CONTINUE;
}

function refuseChoice(host: Host, model: usize, bytes: usize): void {
  if (bytes != 0) refuseModel(wordsOf(), model, bytes);
  else if (knownApi() !== null && modelsOf(host).heldBytes != 0 && hasMethod(post))
    refuseMissing(wordsOf());
  else refuseUnrouted(wordsOf());
}

/** In whose words the API of the request tells errors. */
function wordsOf(): u8 {
  const path = requestPath();
  const api = apiOf(path.ptr, path.bytes);
  return api === null ? unknownApi.errors : api.errors;
}

function isModelsPath(): bool {
  const path = requestPath();
  return isText(modelsPath, path.ptr, path.bytes);
}

/** The API that the request's path leads to, where calls of it run a model. */
function knownApi(): Api | null {
  const path = requestPath();
  const api = apiOf(path.ptr, path.bytes);
  return api === null || api.price == FREE ? null : api;
}

/** What becomes of a request whose model cannot be told: elsewhere than at a model's API it need not have one. */
function unreadable(host: Host, reason: Ascii): i32 {
  if (knownApi() === null) return select(host, 0, 0);
  return accepted(host) ? CONTINUE : refused(reason);
}

function tooLate(host: Host): i32 {
  if (accepted(host)) return CONTINUE;
  refuseLong(wordsOf());
  return STOP_ITERATION;
}

/** Gives the request to the route that accepts what cannot be told; false where none does. */
function accepted(first: Host): bool {
  for (let host: Host | null = first; host !== null; host = host.other) {
    const policy = policyAtHost(host);
    if (policy === null || !policy.acceptsUnreadable) continue;
    const name = host.route.name;
    setHeader(REQUEST_HEADERS, routeHeader, textPtr(name), textBytes(name));
    if (hasHeader(modelHeader)) removeHeader(REQUEST_HEADERS, modelHeader);
    return true;
  }
  return false;
}

/** The stream is over. */
export { letGo as onSelectEnd } from "./held";
