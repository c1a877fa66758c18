import type { TypeName } from "./types.ts";

/** A proxy's no to a version of a type. */
export interface Nack {
  version: string;
  /** The proxy's own message. */
  message: string;
  /** Since when it has said no to whatever it was sent of the type. */
  since: Date;
  /**
   * It had not said yes to what it was sent before: the no is about something
   * older than this version, or about everything.
   */
  before: boolean;
}

/** Unasked: the proxy wants nothing of the type. */
export interface Answer {
  state: "runs" | "refused" | "waiting" | "unasked";
  /** The proxy's own words where it refused. */
  message: string;
}

/** What one stream was sent of one type, and what came back. */
export interface TypeAnswers {
  sent: string;
  /** What was sent last is not answered yet. */
  waiting: boolean;
  acked: string;
  /** Its last answer was a no. */
  nack?: Nack;
}

/** What one stream was sent, and what came back. */
export interface StreamAnswers {
  readonly types: ReadonlyMap<TypeName, TypeAnswers>;
  /** What its process said no to, and why; the newest of each type. */
  readonly refused: Refused;
  sent(type: TypeName, version: string): void;
  acked(type: TypeName, version: string, now: Date): void;
  nacked(type: TypeName, version: string, message: string, now: Date): void;
}

/** Messages by version, by type. */
export type Refused = ReadonlyMap<TypeName, ReadonlyMap<string, string>>;

/** Refused versions that are remembered of each type. */
const maxRefused = 8;

/**
 * @param earlier what streams of the same process refused: Envoy acknowledges an extension that
 * it refused when it comes again, which does not count
 */
export function createStreamAnswers(earlier: Refused): StreamAnswers {
  const types = new Map<TypeName, TypeAnswers>();
  const refused = new Map(earlier);

  function of(type: TypeName): TypeAnswers {
    let state = types.get(type);
    if (state === undefined) {
      state = { sent: "", waiting: false, acked: "" };
      types.set(type, state);
    }
    return state;
  }

  function no(type: TypeName, version: string, message: string, now: Date): void {
    const state = of(type);
    const { acked, nack } = state;
    const before = acked === "" || nack !== undefined;
    state.nack = { version, message, since: nack?.since ?? now, before };
    const others = [...(refused.get(type) ?? [])].filter(([each]) => each !== version);
    refused.set(type, new Map([...others.slice(1 - maxRefused), [version, message]]));
  }

  return {
    types,
    refused,
    sent(type, version) {
      Object.assign(of(type), { sent: version, waiting: true });
    },
    acked(type, version, now) {
      const state = of(type);
      state.waiting = false;
      const message = refused.get(type)?.get(version);
      if (message !== undefined) {
        no(type, version, message, now);
        return;
      }
      state.acked = version;
      delete state.nack;
    },
    nacked(type, version, message, now) {
      of(type).waiting = false;
      no(type, version, message, now);
    },
  };
}

/** What all streams of a proxy that ask for a type say to a version of it: each of them must run it. */
export function answerOf(
  streams: Iterable<StreamAnswers>,
  type: TypeName,
  version: string,
): Answer {
  let asked = false;
  let runs = true;
  for (const { types } of streams) {
    const state = types.get(type);
    if (state === undefined) continue;
    asked = true;
    if (state.nack?.version === version) return { state: "refused", message: state.nack.message };
    if (state.acked !== version || state.waiting || state.nack) runs = false;
  }
  return { state: asked ? (runs ? "runs" : "waiting") : "unasked", message: "" };
}

/** A type as all streams of a proxy have it: one that refused is shown before one that is behind. */
export function worstOf(streams: Iterable<StreamAnswers>, type: TypeName): TypeAnswers | undefined {
  let worst: TypeAnswers | undefined;
  for (const { types } of streams) {
    const state = types.get(type);
    if (state && (worst === undefined || rank(state) > rank(worst))) worst = state;
  }
  return worst;
}

function rank({ nack, waiting, sent, acked }: TypeAnswers): number {
  if (nack) return 2;
  return waiting || sent !== acked ? 1 : 0;
}
