import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Less than the timeout of a call: a longer retry-after is reported as an error instead. */
const longestMs = 25_000;

/**
 * Retries a call that the control service rejected because of its rate limit, after its retry-after and
 * for some seconds at most; `say` gets a line for each wait. A call rejected like this has had no effect.
 */
export const comeBack =
  (say: (line: string) => void, wait: (ms: number) => Promise<void> = sleep): Interceptor =>
  (next) =>
  async (request) => {
    for (let waitedMs = 0; ; ) {
      try {
        return await next(request);
      } catch (error) {
        const inMs = comesBackInMs(error);
        if (inMs === undefined || request.stream || waitedMs + inMs > longestMs) throw error;
        say(`the control service limits requests: retrying in ${inMs / 1000} s`);
        await wait(inMs);
        waitedMs += inMs;
      }
    }
  };

function comesBackInMs(error: unknown): number | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.ResourceExhausted) return undefined;
  const seconds = Number(error.metadata.get("retry-after") ?? Number.NaN);
  return seconds >= 0 ? 1000 * Math.max(1, seconds) : undefined;
}
