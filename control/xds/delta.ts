import { fromBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { deltaResponse } from "./encode.ts";
import { type Incoming, refusalIn } from "./incoming.ts";
import { secretUrl } from "./secret.ts";
import type { Protocol } from "./stream.ts";
import { deltaSubscription, wants } from "./subscription.ts";
import { typeOfUrl } from "./types.ts";

/** Incremental: every response is what changed since the last one, and what was asked for. */
export const deltaProtocol: Protocol = {
  respond(type, state, _published, selection, nonce) {
    const { asked, subscription, delta } = state;
    const { known, sentIn } = delta;
    const present = new Set(selection.resources.map(({ name }) => name));
    for (const name of known.keys())
      if (!wants(subscription, name) && !asked.has(name)) {
        known.delete(name);
        sentIn.delete(name);
      }
    // "The server must still provide those resources": a name that is asked for is sent, whatever
    // the server believes the client to have ("Subscribing to Resources").
    const changed = selection.resources.filter(
      ({ name, version }) =>
        state.due || state.askedAll || asked.has(name) || known.get(name) !== version,
    );
    // What is gone, and what was asked for and is not there
    // ("Knowing When a Requested Resource Does Not Exist").
    const removed = [...new Set([...known.keys(), ...asked])].filter((name) => !present.has(name));
    // A wildcard subscriber waits for its first answer even when there is nothing.
    const waits = subscription.wildcard && state.version === "" && !delta.resumed;
    if (changed.length === 0 && removed.length === 0 && !waits) return undefined;
    for (const { name, version } of changed) known.set(name, version);
    for (const name of removed) {
      known.delete(name);
      sentIn.delete(name);
    }
    return {
      frame: deltaResponse(type.url, selection.version, nonce, changed, removed),
      names: changed.map(({ name }) => name),
    };
  },
  // Nothing was to be sent, so what it named is what it wants.
  hasAll: ({ delta }) => delta.resumed,
  resume(state, { initialVersions = {} }) {
    for (const [name, version] of Object.entries(initialVersions)) {
      if (!wants(state.subscription, name)) continue;
      state.delta.known.set(name, version);
      // "To avoid resending them over the network" ("Incremental xDS"): sent only if it differs.
      state.asked.delete(name);
      state.delta.resumed = true;
    }
    if (state.delta.resumed) state.askedAll = false;
  },
};

/** Reads a DeltaDiscoveryRequest. */
export function readDelta(message: Uint8Array): Incoming {
  const request = fromBinary(DeltaDiscoveryRequestSchema, message);
  const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
  const type = typeOfUrl(request.typeUrl);
  return {
    node: request.node,
    names: [...subscribe, ...unsubscribe, ...Object.keys(request.initialResourceVersions)],
    request: {
      type,
      nonce: request.responseNonce,
      ...refusalIn(request.errorDetail),
      subscribe: (before, _first, own) =>
        deltaSubscription(before, own, subscribe, unsubscribe, type.wildcard),
      initialVersions: request.initialResourceVersions,
    },
    ...(request.typeUrl === secretUrl
      ? {
          secret: {
            delta: true,
            nonce: request.responseNonce,
            names: subscribe,
            unsubscribed: unsubscribe,
            version: "",
            initialVersions: request.initialResourceVersions,
            ...refusalIn(request.errorDetail),
          },
        }
      : {}),
  };
}
