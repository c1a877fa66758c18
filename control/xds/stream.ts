import type { Published } from "./published.ts";
import type { Subscription } from "./subscription.ts";
import { type ResourceType, resourceTypes } from "./types.ts";

/** A request of either protocol, reduced to what the stream's story needs. */
export interface Request {
  type: ResourceType;
  /** Empty in the first request of a type. */
  nonce: string;
  /** A refusal in the proxy's own words. */
  refusal?: string;
  /** The subscription that results, given the one before. */
  subscribe(before: Subscription | undefined): Subscription;
  /** SotW: version the proxy says it runs. */
  version?: string;
  /** Delta: versions of single resources it says it has. */
  initialVersions?: Readonly<Record<string, string>>;
}

/** What one stream was told of one type. */
export interface TypeStream {
  subscription: Subscription;
  /** Content that was sent last, refused or not; it is not sent again until it changes. */
  sentVersion: string;
  nonce: string;
  /** Number of the snapshot that the nonce is of; 0 before the first. */
  number: number;
  /** Send even if nothing changed: a cluster that changed waits for its endpoints. */
  due: boolean;
  /** Delta: what the proxy has, by name. */
  known: Map<string, string>;
  resends: number;
}

/** The half of a protocol that differs: how a response is made. */
export interface Protocol {
  /** The frame to send for a type, or undefined when the proxy has everything it wants. */
  respond(
    type: ResourceType,
    state: TypeStream,
    published: Published,
    nonce: string,
  ): { frame: Buffer; version: string } | undefined;
  /** Takes over what the proxy says it already has, on the first request of a type. */
  resume(state: TypeStream, request: Request, published: Published): void;
}

/** What a stream tells the outside. */
export interface StreamEvents {
  sent(type: ResourceType, version: string): void;
  acked(type: ResourceType, version: string): void;
  nacked(type: ResourceType, version: string, message: string): void;
}

/** One ADS stream: requests in, frames out, without any I/O of its own. */
export interface AdsStream {
  receive(request: Request, published: Published | undefined): void;
  /**
   * Sends what is due, in the order of the types, until nothing is or the
   * writer is full. What was left out is looked at anew on the next call, so a
   * slow reader only ever gets the newest.
   */
  flush(published: Published, write: (frame: Buffer) => boolean): void;
}

export function createAdsStream(protocol: Protocol, events: StreamEvents): AdsStream {
  const types = new Map<string, TypeStream>();

  function first(request: Request, published: Published | undefined): TypeStream {
    const state: TypeStream = {
      subscription: request.subscribe(undefined),
      sentVersion: "",
      nonce: "",
      number: 0,
      due: false,
      known: new Map(),
      resends: 0,
    };
    types.set(request.type.name, state);
    if (published) {
      protocol.resume(state, request, published);
      if (state.sentVersion !== "") {
        events.sent(request.type, state.sentVersion);
        events.acked(request.type, state.sentVersion);
      }
    }
    return state;
  }

  function acknowledge(state: TypeStream, { type, refusal }: Request): void {
    if (refusal === undefined) events.acked(type, state.sentVersion);
    else events.nacked(type, state.sentVersion, refusal);
  }

  return {
    receive(request, published) {
      const state = types.get(request.type.name);
      if (state === undefined) {
        first(request, published);
        return;
      }
      // An answer to something older than what was sent last is overtaken.
      if (request.nonce !== "" && request.nonce !== state.nonce) return;
      if (request.nonce !== "") acknowledge(state, request);
      state.subscription = request.subscribe(state.subscription);
    },

    flush(published, write) {
      for (const type of resourceTypes) {
        const state = types.get(type.name);
        if (state === undefined) continue;
        const nonce = nonceFor(state, published);
        const response = protocol.respond(type, state, published, nonce);
        if (response === undefined) continue;
        const clustersChanged = type.name === "CDS" && state.sentVersion !== response.version;
        state.sentVersion = response.version;
        state.nonce = nonce;
        state.number = published.number;
        state.due = false;
        const endpoints = types.get("EDS");
        if (clustersChanged && endpoints) endpoints.due = true;
        events.sent(type, response.version);
        if (!write(response.frame)) return;
      }
    },
  };
}

/** The snapshot's number; with a suffix where the stream has had a response of that number already. */
function nonceFor(state: TypeStream, { number, nonce }: Published): string {
  return state.number === number ? `${nonce}.${state.resends + 1}` : nonce;
}
