import type { Published } from "./published.ts";
import type { EncodedResource } from "./snapshot.ts";
import { nothing, type Subscription, type SubscriptionChange } from "./subscription.ts";
import type { StreamType } from "./types.ts";

/** A request of either protocol, reduced to what the stream's story needs. */
export interface Request {
  type: StreamType;
  /** Of the response that is answered; empty where none is. */
  nonce: string;
  /** A refusal in the proxy's own words. */
  refusal?: string;
  /**
   * @param first no request of the type came before on this stream
   * @param own the stream's own set, which has the names of the subscription under delta
   */
  subscribe(before: Subscription, first: boolean, own: Set<string>): SubscriptionChange;
  /** SotW: version the proxy says it runs. */
  version?: string;
  /** Delta: versions of single resources it says it has. */
  initialVersions?: Readonly<Record<string, string>>;
}

/** What one stream was told of one type. */
export interface TypeStream {
  subscription: Subscription;
  /** Content that the proxy was sent or said it has, refused or not; empty before. */
  version: string;
  /** The newest response's nonce and version; empty before the first. */
  nonce: string;
  responseVersion: string;
  /** What became of it; of a proxy that came back with what it wants, that it runs that. */
  answer: "waiting" | "acked" | "refused";
  /** What was looked at last; nothing is looked at twice unless something was asked for since. */
  looked: Published | undefined;
  /** Number of the push that the newest response is of, and how many responses of it there were. */
  number: number;
  responses: number;
  /** Something was asked for since: look again although the snapshot is the same. */
  stale: boolean;
  /** Names to answer about, and all of them, whether or not they were sent before. */
  asked: Set<string>;
  askedAll: boolean;
  /** Send even if nothing changed: a cluster that changed waits for its endpoints. */
  due: boolean;
  /** SotW: what the last response held. */
  sent: readonly EncodedResource[];
  /** SotW: version that the proxy said it has when it came. */
  resumedVersion: string;
  delta: DeltaState;
}

/** What only the delta protocol knows; it stays empty under the other one. */
export interface DeltaState {
  /** Names of the subscription, changed in place: a request of one name must not cost a copy of thousands. */
  subscribed: Set<string>;
  /** What the proxy has: version by name. */
  known: Map<string, string>;
  /** Nonce that each resource was sent under last. */
  sentIn: Map<string, string>;
  /** What the proxy refused and was not sent anew. */
  refused: RefusedResponse[];
  /** The proxy said that it has resources when it came. */
  resumed: boolean;
}

/** A delta response that the proxy refused, until what it was about is no longer what the proxy was sent. */
export interface RefusedResponse {
  /** Resources that the refusal is about. */
  names: Set<string>;
  /** The refusal names them; otherwise they are all that were in the response. */
  exact: boolean;
  message: string;
}

export function emptyState(): TypeStream {
  return {
    subscription: nothing,
    version: "",
    nonce: "",
    responseVersion: "",
    answer: "waiting",
    looked: undefined,
    number: 0,
    responses: 0,
    stale: true,
    asked: new Set(),
    askedAll: false,
    due: false,
    sent: [],
    resumedVersion: "",
    delta: {
      subscribed: new Set(),
      known: new Map(),
      sentIn: new Map(),
      refused: [],
      resumed: false,
    },
  };
}

/** The subscription after a request, and what the request asks about. */
export function apply(state: TypeStream, change: SubscriptionChange): void {
  const { subscription, asked, askedAll, released } = change;
  const { subscription: before, delta } = state;
  for (const name of asked) state.asked.add(name);
  for (const { name, named } of released) {
    // Under "*" the client does not know whether to keep what it lets go of: it is told
    // ("Unsubscribing from Resources"). Otherwise it is forgotten, and sent when it is asked for again.
    if (subscription.wildcard && (named || delta.known.has(name))) state.asked.add(name);
    else {
      state.asked.delete(name);
      delta.known.delete(name);
      delta.sentIn.delete(name);
    }
  }
  state.askedAll = (state.askedAll || askedAll) && subscription.wildcard;
  state.subscription = subscription;
  const same =
    before.wildcard === subscription.wildcard && before.names.size === subscription.names.size;
  if (!same || asked.length > 0 || askedAll || released.length > 0) state.stale = true;
}
