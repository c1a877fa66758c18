import { fromBinary } from "@bufbuild/protobuf";
import { DiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { sotwResponse } from "./encode.ts";
import { type Incoming, refusalIn } from "./incoming.ts";
import type { Selection } from "./published.ts";
import { secretUrl } from "./secret.ts";
import type { TypeStream } from "./state.ts";
import type { Protocol } from "./stream.ts";
import { sotwSubscription, wants } from "./subscription.ts";
import { type StreamType, typeOfUrl } from "./types.ts";

/** State of the world: every response is the whole set that is wanted. */
export const sotwProtocol: Protocol = {
  respond(type, state, published, selection, nonce) {
    if (!owes(type, state, selection)) return undefined;
    const frame =
      nonce === published.nonce
        ? published.frame(type, selection)
        : sotwResponse(type.url, selection.version, nonce, selection.resources);
    return { frame, names: [] };
  },
  hasAll: (state, selection) => state.resumedVersion === selection.version,
  resume(state, { version = "" }) {
    // A response may be left out "only if they know that the client is not subscribing to a new
    // resource": with "*" alone that is so, with names it is not ("ACK/NACK and resource type
    // instance version").
    const { wildcard, names } = state.subscription;
    if (wildcard && names.size === 0) state.resumedVersion = version;
  },
};

function owes(type: StreamType, state: TypeStream, selection: Selection): boolean {
  const { subscription, version } = state;
  const { resources } = selection;
  const first = version === "";
  if (resources.length === 0 && !subscription.wildcard) {
    // Held until there is something: an empty response tells only a client that was sent
    // listeners or clusters anything, namely that they are gone ("Deleting Resources").
    const gone = state.sent.some(({ name }) => subscription.names.has(name));
    return type.wildcard && !first && gone;
  }
  if (first) return state.resumedVersion !== selection.version;
  if (state.due || state.askedAll) return true;
  // "The server must resend any newly requested resources, even if it previously sent those"
  // ("How the client specifies what resources to return").
  if (resources.some(({ name }) => state.asked.has(name))) return true;
  if (version === selection.version) return false;
  return subscription.wildcard || state.answer === "refused" || differs(type, state, selection);
}

/** Whether a selection is more than the last one without the names that the client let go of. */
function differs(type: StreamType, state: TypeStream, { resources }: Selection): boolean {
  const before = new Map(state.sent.map(({ name, version }) => [name, version]));
  if (resources.some(({ name, version }) => before.get(name) !== version)) return true;
  if (!type.wildcard) return false;
  // Of listeners and clusters "the server must include the complete state of the world"
  // ("Grouping Resources into Responses"): what is missing from it is deleted.
  const present = new Set(resources.map(({ name }) => name));
  return state.sent.some(({ name }) => wants(state.subscription, name) && !present.has(name));
}

/** Requests that were read lately, by their bytes. */
const read = new Map<string, Incoming>();
const maxRead = 64;
const maxReadBytes = 512;

/**
 * Reads a DiscoveryRequest. Proxies with the same subscription acknowledge in the
 * same bytes, a thousand of them within a moment: those are read once.
 */
export function readSotw(message: Buffer): Incoming {
  if (message.length > maxReadBytes) return decode(message);
  const key = message.toString("latin1");
  let incoming = read.get(key);
  if (incoming === undefined) {
    incoming = decode(message);
    if (read.size >= maxRead) read.clear();
    read.set(key, incoming);
  }
  return incoming;
}

function decode(message: Uint8Array): Incoming {
  const request = fromBinary(DiscoveryRequestSchema, message);
  const type = typeOfUrl(request.typeUrl);
  const names = request.resourceNames;
  return {
    node: request.node,
    names,
    request: {
      type,
      nonce: request.responseNonce,
      ...refusalIn(request.errorDetail),
      subscribe: (before, first) => sotwSubscription(before, first, names, type.wildcard),
      version: request.versionInfo,
    },
    ...(request.typeUrl === secretUrl
      ? {
          secret: {
            delta: false,
            nonce: request.responseNonce,
            names,
            unsubscribed: [],
            version: request.versionInfo,
            initialVersions: {},
            ...refusalIn(request.errorDetail),
          },
        }
      : {}),
  };
}
