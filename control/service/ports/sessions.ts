import type { Http2SecureServer, Http2Server, ServerHttp2Session } from "node:http2";
import { limitResets } from "./limit-resets.ts";

/**
 * A session on which nothing moves for this long is looked at: one without a stream is
 * closed, also one that was told to go away after an error and did not. Proxies and
 * watchers hold a stream open for ever; they are asked whether they are there.
 */
export const idleMs = 15_000;

/** Keeps the sessions of a server, and ends those that abuse it or that nobody is at the other end of. */
export function trackSessions(
  http2: Http2Server | Http2SecureServer,
  quietMs: number = idleMs,
): Set<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    limitResets(session);
    endSilent(session, quietMs);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
  });
  http2.on("sessionError", () => {});
  return sessions;
}

/**
 * Ends a session that is idle, or whose peer does not answer a ping: it reads nothing, has
 * broken the protocol and been told so, or is gone without a word.
 */
function endSilent(session: ServerHttp2Session, quietMs: number): void {
  let streams = 0;
  let waiting: NodeJS.Timeout | undefined;
  const stop = () => clearTimeout(waiting);
  session.on("stream", (stream) => {
    streams++;
    stream.on("close", () => streams--);
  });
  session.on("close", stop);
  // This is a timer's turn of the loop, and so is the one below: nothing reads the session meanwhile.
  session.on("timeout", () => {
    if (session.destroyed) return;
    if (streams === 0) {
      session.destroy();
      return;
    }
    stop();
    waiting = setTimeout(() => session.destroy(), quietMs);
    waiting.unref();
    session.ping((error) => {
      if (error !== null) return;
      stop();
      if (!session.destroyed) session.setTimeout(quietMs);
    });
  });
  session.setTimeout(quietMs);
}
