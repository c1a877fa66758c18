import { type AnswerEvents, createAnswers } from "./answers.ts";
import type { Published, Selection } from "./published.ts";
import { apply, emptyState, type Request, type TypeStream } from "./state.ts";
import { subscriptionProblem } from "./subscription.ts";
import { type ResourceType, resourceTypes, type StreamType } from "./types.ts";

/** A response of either protocol. */
export interface Reply {
  frame: Buffer;
  /** Delta: names of the resources in it, which an answer to it is about. */
  names: readonly string[];
}

/** The half of a protocol that differs: how a response is made. */
export interface Protocol {
  /** What to send of a type, or undefined when the proxy has everything it wants. */
  respond(
    type: StreamType,
    state: TypeStream,
    published: Published,
    selection: Selection,
    nonce: string,
  ): Reply | undefined;
  /** Whether the proxy came with all that it wants, so that its first request needs no response. */
  hasAll(state: TypeStream, selection: Selection): boolean;
  /** Takes over what the proxy says it already has, on the first request of a type. */
  resume(state: TypeStream, request: Request): void;
}

/** What a stream tells the outside. */
export interface StreamEvents extends AnswerEvents {
  sent(type: ResourceType, version: string): void;
}

/** One ADS stream: requests in, frames out, without any I/O of its own. */
export interface AdsStream {
  /** @returns what is wrong with the request's subscription, if anything is */
  receive(request: Request): string | undefined;
  /**
   * Sends what is due, in the order of the types, until nothing is or the
   * writer is full. What was left out is looked at anew on the next call, so a
   * slow reader only ever gets the newest.
   */
  flush(published: Published, write: (frame: Buffer) => boolean): void;
}

/** Types that Weir has nothing of and a stream may ask for nevertheless. */
const maxUnknownTypes = 32;

export function createAdsStream(protocol: Protocol, events: StreamEvents): AdsStream {
  const types = new Map<string, { type: StreamType; state: TypeStream }>();
  const answers = createAnswers(events);
  let unknownTypes = 0;

  function stateOf(request: Request): { state: TypeStream; first: boolean } | undefined {
    const { type } = request;
    const found = types.get(type.url);
    if (found) return { state: found.state, first: false };
    if (type.name === undefined && ++unknownTypes > maxUnknownTypes) return undefined;
    const state = emptyState();
    types.set(type.url, { type, state });
    return { state, first: true };
  }

  /** Content went out of the subscription, or the proxy came with what it wants: it has this version now. */
  function settle(type: StreamType, state: TypeStream, selection: Selection): void {
    const before = state.version;
    state.sent = selection.resources;
    if (before === selection.version) return;
    if (before === "") {
      if (!protocol.hasAll(state, selection)) return;
      state.answer = "acked";
    }
    state.version = selection.version;
    if (!isKnown(type)) return;
    events.sent(type, state.version);
    if (state.answer === "acked") answers.repeat(type, state);
  }

  /** Whether anything happened since a type was looked at last. */
  function isDue(state: TypeStream, published: Published): boolean {
    return state.looked !== published || state.stale || state.due;
  }

  /** The response that is due for a type; undefined where the proxy has what it wants. */
  function look(type: StreamType, state: TypeStream, published: Published): Buffer | undefined {
    if (state.number !== published.number) state.responses = 0;
    state.number = published.number;
    state.looked = published;
    state.stale = false;
    const selection = published.select(type, state.subscription);
    const nonce =
      state.responses === 0 ? published.nonce : `${published.nonce}.${state.responses + 1}`;
    const reply = protocol.respond(type, state, published, selection, nonce);
    state.due = false;
    state.asked.clear();
    state.askedAll = false;
    if (reply === undefined) settle(type, state, selection);
    else noteSent(type, state, selection, nonce, reply.names);
    return reply?.frame;
  }

  /** A response is on its way. */
  function noteSent(
    type: StreamType,
    state: TypeStream,
    { version, resources }: Selection,
    nonce: string,
    names: readonly string[],
  ): void {
    // "EDS updates (if any) must arrive after CDS updates for the respective clusters":
    // Envoy warms a changed cluster until its endpoints come, changed or not ("Resource warming").
    const endpoints = types.get(endpointsUrl)?.state;
    if (type.name === "CDS" && state.version !== version && endpoints) endpoints.due = true;
    Object.assign(state, {
      version,
      responseVersion: version,
      nonce,
      answer: "waiting",
      responses: state.responses + 1,
      sent: resources,
    });
    answers.expect(state, nonce, names);
    if (isKnown(type)) events.sent(type, version);
  }

  return {
    receive(request) {
      const entry = stateOf(request);
      if (entry === undefined)
        return `more than ${maxUnknownTypes} types that are not served: ${request.type.url.slice(0, 100)}`;
      const { state, first } = entry;
      if (!first) {
        if (isKnown(request.type)) answers.take(request.type, state, request);
        // "The management server should not send a DiscoveryResponse for any DiscoveryRequest that
        // has a stale nonce" ("Resource updates"); the answer to the newest response carries the names
        // again. Delta: "the server must honor changes to the subscription state even if the nonce is
        // stale" ("Incremental xDS"). Nothing is stale before the first response.
        const overtaken = request.nonce !== "" && request.nonce !== state.nonce;
        if (overtaken && state.nonce !== "" && request.version !== undefined) return undefined;
      }
      const change = request.subscribe(state.subscription, first, state.delta.subscribed);
      const problem = subscriptionProblem(change.subscription);
      if (problem !== undefined) return problem;
      apply(state, change);
      if (first) protocol.resume(state, request);
      return undefined;
    },

    flush(published, write) {
      const served = resourceTypes.flatMap(({ url }) => types.get(url) ?? []);
      const others = unknownTypes > 0 ? [...types.values()].filter(({ type }) => !type.name) : [];
      for (const { type, state } of [...served, ...others]) {
        const frame = isDue(state, published) ? look(type, state, published) : undefined;
        if (frame && !write(frame)) return;
      }
    },
  };
}

const endpointsUrl = resourceTypes.find(({ name }) => name === "EDS")?.url ?? "";

const isKnown = (type: StreamType): type is ResourceType => type.name !== undefined;
