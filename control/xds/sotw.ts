import { fromBinary } from "@bufbuild/protobuf";
import { DiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { sotwResponse } from "./encode.ts";
import type { Incoming } from "./incoming.ts";
import type { Protocol } from "./stream.ts";
import { sotwSubscription } from "./subscription.ts";
import { typeOfUrl } from "./types.ts";

/** State of the world: every response is the whole set that is wanted. */
export const sotwProtocol: Protocol = {
  respond(type, state, published, nonce) {
    const selection = published.select(type, state.subscription);
    // No resource yet of those asked for by name: the request is held until there is.
    if (selection.resources.length === 0 && !state.subscription.wildcard) return undefined;
    if (selection.version === state.sentVersion && !state.due) return undefined;
    const shared = nonce === published.nonce;
    const frame = shared
      ? published.frame(type, selection)
      : sotwResponse(type.url, selection.version, nonce, selection.resources);
    if (!shared) state.resends++;
    return { frame, version: selection.version };
  },
  resume(state, request, published) {
    const { version } = published.select(request.type, state.subscription);
    // A proxy that came back with what it would be sent needs nothing.
    if (request.version === version) state.sentVersion = version;
  },
};

/** Requests that were read lately, by their bytes. */
const read = new Map<string, Incoming>();
const mostRead = 64;
const mostReadBytes = 512;

/**
 * Reads a DiscoveryRequest. Proxies with the same subscription acknowledge in the
 * same bytes, a thousand of them within a moment: those are read once.
 */
export function readSotw(message: Buffer): Incoming {
  if (message.length > mostReadBytes) return decode(message);
  const key = message.toString("latin1");
  let incoming = read.get(key);
  if (incoming === undefined) {
    incoming = decode(message);
    if (read.size >= mostRead) read.clear();
    read.set(key, incoming);
  }
  return incoming;
}

function decode(message: Uint8Array): Incoming {
  const request = fromBinary(DiscoveryRequestSchema, message);
  const type = typeOfUrl(request.typeUrl);
  return {
    node: request.node,
    names: request.resourceNames,
    ...(type
      ? {
          request: {
            type,
            nonce: request.responseNonce,
            ...(request.errorDetail ? { refusal: request.errorDetail.message } : {}),
            subscribe: (before) => sotwSubscription(before, request.resourceNames, type.wildcard),
            version: request.versionInfo,
          },
        }
      : {}),
  };
}
