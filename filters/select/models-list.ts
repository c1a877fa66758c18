import { Host } from "../document";
import { QUOTE } from "../format/ascii-codes";
import { keepHeaders } from "../refusal";
import {
  Ascii,
  beginPair,
  beginPairs,
  beginText,
  endPair,
  literal,
  reply,
  Text,
  textBytes,
  textPtr,
  write,
  writeByte,
  writeSafe,
  written,
  writtenBytes,
} from "../sdk";
import { policyAtHost } from "./choose";
import { SelectEntry } from "./policy";

const listed = literal("weir_models");
/** So long a list has room for one more model, whose name stands in it twice, and for its end. */
const MAX_LIST: usize = 260_000;

/** Answers with the models that the routes of a host name, as clients of OpenAI's and of Anthropic's API read them. */
export function replyModels(first: Host): void {
  beginPairs(1);
  beginPair(0, "content-type");
  write("application/json");
  endPair(0);
  const headers = keepHeaders();
  beginText();
  write('{"object":"list","data":[');
  let more = false;
  let firstModel: Text = 0;
  let lastModel: Text = 0;
  for (let host: Host | null = first; host !== null; host = host.other) {
    const policy = policyAtHost(host);
    if (policy === null) continue;
    for (let at = policy.entries; at != 0; at = changetype<SelectEntry>(at).next) {
      const model = changetype<SelectEntry>(at).model;
      if (model == 0) continue;
      if (writtenBytes() > MAX_LIST) {
        more = true;
        break;
      }
      writeModel(model, firstModel == 0);
      if (firstModel == 0) firstModel = model;
      lastModel = model;
    }
  }
  write(more ? '],"has_more":true' : '],"has_more":false');
  if (firstModel != 0) {
    writeName(',"first_id":', firstModel);
    writeName(',"last_id":', lastModel);
  }
  write("}");
  reply(200, listed, headers.ptr, headers.bytes, written(), writtenBytes(), -1);
}

function writeModel(model: Text, isFirst: bool): void {
  if (!isFirst) write(",");
  writeName('{"id":', model);
  writeName(',"object":"model","type":"model","display_name":', model);
  write(',"created":0,"created_at":"1970-01-01T00:00:00Z","owned_by":"weir"}');
}

function writeName(before: Ascii, name: Text): void {
  write(before);
  writeByte(QUOTE);
  writeSafe(textPtr(name), textBytes(name));
  writeByte(QUOTE);
}
