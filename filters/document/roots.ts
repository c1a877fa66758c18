import { failJson, openJson } from "../format/json";
import {
  Ascii,
  allocate,
  canReserve,
  literal,
  Region,
  readConfiguration,
  readProperty,
  release,
  Span,
  sameBytes,
} from "../sdk";
import { Document } from "./document";
import { bindDocument, parseDocument, releaseDocument } from "./parse";
import { logRefusal } from "./refusal";

// A root context is one configuration of one plug-in in this VM. While a
// configuration is replaced, the old root and the new one live side by side;
// plug-ins that share the module share the VM as well. Streams that start
// belong to the newest root of their plug-in.
//
//   VM (one per worker) -> roots, newest first -> document -> region
@unmanaged
class Root {
  next: usize;
  id: u32;
  document: Document;
  /** Whether it is the newest of its plug-in. */
  current: bool;
  /** Envoy's name of the plug-in, bytes behind this struct. */
  nameBytes: u32;
}

let newest: usize = 0;
let plugins: i32 = 0;
const pluginName = literal("plugin_name");

function nameOf(root: Root): usize {
  return changetype<usize>(root) + offsetof<Root>();
}

function samePlugin(root: Root, name: usize, nameBytes: usize): bool {
  return root.nameBytes == <u32>nameBytes && sameBytes(nameOf(root), name, nameBytes);
}

/** Takes a configuration for a root context; on a refusal what ran before goes on. */
export function configureRoot(id: u32, bytes: usize, filter: Ascii): bool {
  // What a configuration is made into takes many times its text; one beyond a mebibyte is refused anyway.
  if (!canReserve(min<usize>(bytes, 1 << 20) << 5)) {
    openJson(0, 0);
    failJson("needs more memory than there is");
    logRefusal(filter);
    return false;
  }
  const region = Region.create();
  const document = readInto(region, bytes);
  if (document === null) {
    logRefusal(filter);
    region.free();
    return false;
  }
  bindDocument(document);
  deleteRoot(id);
  addRoot(id, document);
  return true;
}

function readInto(region: Region, bytes: usize): Document | null {
  // The parser decodes strings in place, so the text is copied out of the host's buffer first.
  const text = readConfiguration(bytes);
  const textBytes: usize = text === null ? 0 : text.bytes;
  const copy = region.alloc(textBytes + 1);
  if (text !== null) memory.copy(copy, text.ptr, textBytes);
  return parseDocument(region, copy, textBytes);
}

function addRoot(id: u32, document: Document): void {
  const name = readProperty(pluginName);
  const nameBytes: usize = name === null ? 0 : name.bytes;
  const root = changetype<Root>(allocate(offsetof<Root>() + nameBytes));
  root.id = id;
  root.document = document;
  root.nameBytes = <u32>nameBytes;
  if (name !== null) memory.copy(nameOf(root), name.ptr, nameBytes);
  const before = newestOf(nameOf(root), nameBytes);
  if (before == 0) plugins++;
  else changetype<Root>(before).current = false;
  root.current = true;
  root.next = newest;
  newest = changetype<usize>(root);
}

/** The newest root of a plug-in, or 0. */
function newestOf(name: usize, nameBytes: usize): usize {
  let at = newest;
  while (at != 0 && !samePlugin(changetype<Root>(at), name, nameBytes))
    at = changetype<Root>(at).next;
  return at;
}

function rootOf(id: u32): usize {
  let at = newest;
  while (at != 0 && changetype<Root>(at).id != id) at = changetype<Root>(at).next;
  return at;
}

/** Whether a context is a root rather than a stream. */
export function isRoot(id: u32): bool {
  return rootOf(id) != 0;
}

/** Forgets a root context; streams and unknown ones are none. */
export function deleteRoot(id: u32): void {
  const at = rootOf(id);
  if (at == 0) return;
  const root = changetype<Root>(at);
  if (at == newest) newest = root.next;
  else {
    let before = newest;
    while (changetype<Root>(before).next != at) before = changetype<Root>(before).next;
    changetype<Root>(before).next = root.next;
  }
  if (root.current) {
    const heir = newestOf(nameOf(root), root.nameBytes);
    if (heir == 0) plugins--;
    else changetype<Root>(heir).current = true;
  }
  const document = root.document;
  releaseDocument(document);
  document.region.free();
  release(at);
}

/** Calls back with each configuration that is still there. */
export function eachDocument(visit: (document: Document) => void): void {
  for (let at = newest; at != 0; at = changetype<Root>(at).next)
    visit(changetype<Root>(at).document);
}

/**
 * The configuration that applies to a stream that starts now. Only where
 * several plug-ins share the VM does it cost a host call to tell which one runs.
 */
export function currentDocument(): Document | null {
  if (newest == 0) return null;
  const name: Span | null = plugins > 1 ? readProperty(pluginName) : null;
  const known: usize = name === null ? 0 : newestOf(name.ptr, name.bytes);
  return changetype<Root>(known == 0 ? newest : known).document;
}

/** The document of a root context, if it is the newest of its plug-in. */
export function documentOfRoot(id: u32): Document | null {
  const at = rootOf(id);
  return at != 0 && changetype<Root>(at).current ? changetype<Root>(at).document : null;
}
