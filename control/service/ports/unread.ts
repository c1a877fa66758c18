import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";

/** An answer of which nothing is read for so long is given up, as a proxy's stream is. */
const unreadMs = 60_000;

/**
 * Ends answers whose readers have stopped to read: a watch holds what is written to it, and
 * what has happened since, for as long as it is open. Ends requests over HTTP/2 that are not
 * whole by then, too; of those over HTTP/1.1 Node takes care.
 * @param stop ends the looking
 * @returns takes an answer that begins
 */
export function createUnread(
  stop: AbortSignal,
  patienceMs: number = unreadMs,
): (res: ServerResponse) => void {
  const answers = new Map<ServerResponse, { left: number; sinceMs: number; beganMs: number }>();
  // A timer's turn of the loop: nothing reads the sessions meanwhile.
  const sweep = setInterval(() => {
    const nowMs = performance.now();
    for (const [res, seen] of answers) {
      const left = unreadBytes(res);
      if (nowMs - seen.beganMs >= patienceMs && isArriving(res)) end(res);
      else if (left === 0 || left !== seen.left)
        answers.set(res, { ...seen, left, sinceMs: nowMs });
      else if (nowMs - seen.sinceMs >= patienceMs) end(res);
    }
  }, patienceMs / 4);
  sweep.unref();
  stop.addEventListener("abort", () => clearInterval(sweep));

  return (res) => {
    answers.set(res, { left: 0, sinceMs: 0, beganMs: performance.now() });
    res.once("close", () => answers.delete(res));
  };
}

const streamOf = (res: ServerResponse) =>
  (res as unknown as Partial<Pick<Http2ServerResponse, "stream">>).stream;

/** Whether the client has not yet ended its request. */
const isArriving = (res: ServerResponse) =>
  streamOf(res)?.state?.state === constants.NGHTTP2_STREAM_STATE_OPEN;

function unreadBytes(res: ServerResponse): number {
  const stream = streamOf(res);
  return stream ? (stream.destroyed ? 0 : (stream.bufferSize ?? 0)) : res.writableLength;
}

function end(res: ServerResponse): void {
  const stream = streamOf(res);
  if (stream) stream.close(constants.NGHTTP2_CANCEL);
  else res.destroy();
}
