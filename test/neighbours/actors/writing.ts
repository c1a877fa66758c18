import { Code, ConnectError } from "@connectrpc/connect";
import type { RouteState } from "../../../control/gen/weir/v1/service_pb.ts";
import { routeName } from "../../../control/route/index.ts";
import type { Writes } from "../invariants/writes.ts";
import type { Journal } from "../journal.ts";
import { absent, printOf, type States } from "../states.ts";

/** What a call that writes answers. */
export interface Written {
  state?: RouteState | undefined;
  /** False when everything was like this already. */
  changed?: boolean;
}

export interface WritingOptions {
  states: States;
  writes: Writes;
  journal: Journal;
}

/** These say that nothing was written; after any other error it may be there or not. */
const refusals = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.Aborted,
  Code.OutOfRange,
]);

/** Whether an error is of the connection: the client has put it into a code, the service said nothing. */
const isLost = ({ cause }: ConnectError) => cause instanceof Error && "code" in cause;

/** Notes each write that people make before it is sent, and how it came out. */
export function createWriting({ states, writes, journal }: WritingOptions) {
  const underWay = new Map<string, number>();
  let count = 0;

  /** The state of a route as someone read it. */
  function saw(state: RouteState | undefined, by: string): void {
    if (state?.route === undefined) return;
    states.record(routeName(state.route), Number(state.etag), printOf(state.buckets), by);
  }

  /**
   * Sends a write once, under a reason of its own.
   * @returns its answer; undefined when there was none, or it was refused
   */
  async function write<T extends Written>(
    route: string,
    what: string,
    call: (reason: string) => Promise<T>,
  ): Promise<T | undefined> {
    const reason = `${what} ${count++}`;
    writes.asked(reason, route);
    underWay.set(route, (underWay.get(route) ?? 0) + 1);
    try {
      const answer = await call(reason);
      if (answer.changed === false) writes.refused(reason);
      else writes.acknowledged(reason, answer.state?.etag);
      saw(answer.state, reason);
      return answer;
    } catch (error) {
      const failure = ConnectError.from(error);
      const { code, rawMessage } = failure;
      if (refusals.has(code) && !isLost(failure)) writes.refused(reason);
      else writes.unknown(reason);
      journal.say(`${reason} of ${route}: ${Code[code]} ${rawMessage.slice(0, 200)}`);
      return undefined;
    } finally {
      underWay.set(route, (underWay.get(route) ?? 1) - 1);
    }
  }

  return {
    write,
    saw,
    /** A route was deleted when it had this etag: it is gone from the proxies as well. */
    gone(route: string, etag: string): void {
      states.record(route, Number(etag) + 0.5, absent, "delete");
    },
    isUnderWay: (route: string) => (underWay.get(route) ?? 0) > 0,
  };
}

export type Writing = ReturnType<typeof createWriting>;
