import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Less than the patience of a call: who is asked to come back later than this is told so instead. */
const longestMs = 25_000;

/**
 * A call that the control service refused because there were too many is made again when it said so,
 * for some seconds at the most; `say` is told why nothing happens meanwhile. What is refused so has not been done.
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
