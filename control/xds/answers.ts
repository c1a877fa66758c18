import type { Request, TypeStream } from "./state.ts";
import type { ResourceType } from "./types.ts";

/** Which response a request answers, and what a stream's proxy runs by that. */
export interface Answers {
  /** These resources went out under this nonce. */
  expect(state: TypeStream, nonce: string, names: readonly string[]): void;
  /** A request came; it may answer a response ("ACK and NACK semantics summary"). */
  take(type: ResourceType, state: TypeStream, request: Request): void;
  /** Tells again whether the proxy runs what it has, which became another version. */
  repeat(type: ResourceType, state: TypeStream): void;
}

/** What a stream tells of its proxy's answers. */
export interface AnswerEvents {
  acked(type: ResourceType, version: string): void;
  nacked(type: ResourceType, version: string, message: string): void;
}

export function createAnswers(events: AnswerEvents): Answers {
  /**
   * Delta responses add up: a yes to a later one does not take back the no to
   * an earlier one whose resources are still what the proxy was sent.
   */
  function repeat(type: ResourceType, state: TypeStream): void {
    const { delta } = state;
    for (const { names } of delta.refused)
      for (const name of names) if (!delta.known.has(name)) names.delete(name);
    delta.refused = delta.refused.filter(({ names }) => names.size > 0);
    const [standing] = delta.refused;
    if (standing) events.nacked(type, state.version, standing.message);
    else events.acked(type, state.version);
  }

  function refuse(type: ResourceType, state: TypeStream, nonce: string, message: string): void {
    const newest = nonce === state.nonce;
    const { refused, sentIn } = state.delta;
    const sent = [...sentIn].flatMap(([name, last]) => (last === nonce ? [name] : []));
    for (const name of sent) sentIn.delete(name);
    const named = sent.filter((name) => message.includes(name));
    const exact = named.length > 0;
    if (sent.length > 0) refused.push({ names: new Set(exact ? named : sent), exact, message });
    // Of an earlier response nothing is left that was not sent anew since.
    else if (!newest) return;
    if (newest) state.answer = "refused";
    events.nacked(type, state.version, message);
  }

  return {
    expect({ delta }, nonce, names) {
      for (const name of names) delta.sentIn.set(name, nonce);
      delta.refused = delta.refused.filter((each) => {
        const again = names.filter((name) => each.names.delete(name));
        // Where the refusal names nothing, whatever changed may have been what was wrong.
        return each.exact ? each.names.size > 0 : again.length === 0;
      });
    },
    take(type, state, { nonce, refusal, version }) {
      // The nonce is what tells which response is meant; without one, none is.
      if (nonce === "") return;
      const newest = nonce === state.nonce;
      if (refusal !== undefined) {
        if (!newest || state.answer !== "refused") refuse(type, state, nonce, refusal);
        return;
      }
      // A later request at the same nonce only changes the subscription ("Resource updates").
      if (!newest || state.answer !== "waiting") return;
      // An ACK carries the version of the response; another one says that the proxy runs another.
      if (version !== undefined && version !== state.responseVersion) return;
      state.answer = "acked";
      repeat(type, state);
    },
    repeat,
  };
}
