import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Calls that arrive this soon after the signal to end are still answered. */
export const lastCallsMs = 100;
/** Calls under way get so long. It is less than their connections get, or the answer would come too late. */
const callsMs = 1_000;

/**
 * Tells every call that this service ends once the signal aborts. Watches end with the
 * signal's reason: it is, to their readers, no end of what they watch. A call that comes
 * later is not begun, and one that does not end in time is told what is known of it. The
 * signal gets one listener for all of them.
 * @param writes whether a method stores something, by its name
 */
export function goingAwayInterceptor(
  goingAway: AbortSignal,
  writes: (method: string) => boolean,
  patienceMs: number = callsMs,
): Interceptor {
  const open = new Set<() => void>();
  goingAway.addEventListener("abort", () => {
    for (const end of open) end();
  });

  function told<Message>(messages: AsyncIterable<Message>): AsyncIterable<Message> {
    return {
      [Symbol.asyncIterator]() {
        const inner = messages[Symbol.asyncIterator]();
        let fail: (reason: unknown) => void = () => {};
        const end = () => fail(goingAway.reason);
        open.add(end);
        const close = () => void open.delete(end);
        return {
          next: () =>
            new Promise((resolve, reject) => {
              fail = reject;
              if (goingAway.aborted) return end();
              inner.next().then((result) => {
                if (result.done) close();
                resolve(result);
              }, reject);
            }),
          return(value) {
            close();
            return inner.return?.(value) ?? Promise.resolve({ done: true, value });
          },
          throw(error) {
            close();
            return inner.throw?.(error) ?? Promise.reject(error);
          },
        };
      },
    };
  }

  /** What a call answers, or after a while that no one waits for it any more. */
  function bounded<Answer>(answer: Promise<Answer>, method: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const end = () => {
        timer = setTimeout(() => reject(unavailable(unknownEnd(writes(method)))), patienceMs);
      };
      open.add(end);
      const close = () => {
        open.delete(end);
        clearTimeout(timer);
      };
      answer.finally(close).then(resolve, reject);
    });
  }

  return (next) => async (request) => {
    const { name } = request.method;
    if (goingAway.aborted)
      throw unavailable(`${ending}${writes(name) ? ": nothing of this call was stored" : ""}`);
    const response = await bounded(next(request), name);
    return response.stream ? { ...response, message: told(response.message) } : response;
  };
}

const ending = "the control service is shutting down";

const unknownEnd = (writes: boolean) =>
  `${ending}${writes ? ": this call was not finished in time; its change may or may not be stored" : ""}`;

const unavailable = (message: string) => new ConnectError(message, Code.Unavailable);
