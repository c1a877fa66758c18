import {
  constants,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";

// A client that opens streams only to reset them costs the server a request for
// each and itself nothing (CVE-2023-44487, "rapid reset"). Node's own bound lets
// pass what came in the same read, over 2,000 streams. Clients that give up on
// calls now and then stay far below these.

/** Streams that a client may take back at once, and then each second. */
const burst = 50;
const perSecond = 10;

const frameHeadBytes = 9;
const rstStream = 3;

/** Sessions that end with the current turn of the loop. */
const doomed = new WeakSet<Http2Session>();

/** Whether a session has been ended, or is about to be: nothing of it may be started any more. */
export const isDoomed = (session: Http2Session | undefined): boolean =>
  session === undefined || session.destroyed || doomed.has(session);

/**
 * Ends a session from within an event of it or of its streams. These events run while nghttp2
 * still reads what came: a session that is destroyed underneath it never ends, or ends the
 * process. The check phase of the loop has no such reader below it.
 */
function endSoon(session: ServerHttp2Session): void {
  if (isDoomed(session)) return;
  doomed.add(session);
  setImmediate(() => {
    if (!session.destroyed) session.destroy();
  });
}

/** Ends a session whose client takes back too many streams. */
export function limitResets(session: ServerHttp2Session): void {
  let left = burst;
  let countedMs = performance.now();
  session.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("close", () => {
      // What was answered before it was taken back has a code but was not aborted.
      if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
      const nowMs = performance.now();
      left = Math.min(burst, left + ((nowMs - countedMs) / 1000) * perSecond) - 1;
      countedMs = nowMs;
      if (left < 0) endSoon(session);
    });
  });
}

/**
 * Whether a connection opens with more resets than a session may have. What was
 * read before a session exists reaches it as a whole: it cannot be ended in the middle.
 *
 * @param chunk first bytes of an HTTP/2 connection: the preface and frames (RFC 9113, section 4.1)
 */
export function opensWithResets(chunk: Buffer, prefaceBytes: number): boolean {
  let resets = 0;
  for (let at = prefaceBytes; at + frameHeadBytes <= chunk.length; ) {
    if (chunk[at + 3] === rstStream && ++resets > burst) return true;
    at += frameHeadBytes + chunk.readUIntBE(at, 3);
  }
  return false;
}
