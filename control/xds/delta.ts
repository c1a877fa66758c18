import { fromBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { deltaResponse } from "./encode.ts";
import type { Incoming } from "./incoming.ts";
import type { Protocol } from "./stream.ts";
import { deltaSubscription, wants } from "./subscription.ts";
import { typeOfUrl } from "./types.ts";

/** Incremental: every response is what changed since the last one. */
export const deltaProtocol: Protocol = {
  respond(type, state, published, nonce) {
    const selection = published.select(type, state.subscription);
    const present = new Map(selection.resources.map((resource) => [resource.name, resource]));
    for (const name of state.known.keys())
      if (!wants(state.subscription, name)) state.known.delete(name);
    const changed = selection.resources.filter(
      ({ name, version }) => state.due || state.known.get(name) !== version,
    );
    const removed = [...state.known.keys()].filter((name) => !present.has(name));
    // A wildcard subscriber waits for its first answer even when there is nothing.
    const firstOfAll = state.sentVersion === "" && state.subscription.wildcard;
    if (changed.length === 0 && removed.length === 0 && !firstOfAll) return undefined;
    for (const { name, version } of changed) state.known.set(name, version);
    for (const name of removed) state.known.delete(name);
    if (nonce !== String(published.number)) state.resends++;
    return {
      frame: deltaResponse(type.url, selection.version, nonce, changed, removed),
      version: selection.version,
    };
  },
  resume(state, request, published) {
    for (const [name, version] of Object.entries(request.initialVersions ?? {}))
      state.known.set(name, version);
    const { version, resources } = published.select(request.type, state.subscription);
    const complete =
      state.known.size > 0 &&
      state.known.size === resources.length &&
      resources.every((resource) => state.known.get(resource.name) === resource.version);
    if (complete) state.sentVersion = version;
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
    ...(type
      ? {
          request: {
            type,
            nonce: request.responseNonce,
            ...(request.errorDetail ? { refusal: request.errorDetail.message } : {}),
            subscribe: (before) => deltaSubscription(before, subscribe, unsubscribe, type.wildcard),
            initialVersions: request.initialResourceVersions,
          },
        }
      : {}),
  };
}
