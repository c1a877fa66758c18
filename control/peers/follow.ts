import { setTimeout as sleep } from "node:timers/promises";
import { createClient, type Transport } from "@connectrpc/connect";
import { type FollowResponse, PeerService } from "../gen/weir/v1/peer_pb.ts";
import { errorText } from "../text/error-text.ts";

/** Milliseconds between messages of a replica that has nothing new. One that misses three counts as silent. */
export const heartbeatMs = 1_000;
const silenceMs = 3 * heartbeatMs;
const againMs = 1_000;

export interface FollowOptions {
  transport: Transport;
  /** @returns false when it must not be followed */
  take(update: FollowResponse): boolean;
  /** The stream is broken, or there is none. */
  lost(why: string): void;
  signal: AbortSignal;
}

/** Follows a replica until the signal, or until it turns out to be one that must not be followed. */
export async function follow(options: FollowOptions): Promise<void> {
  const { transport, take, lost, signal } = options;
  const client = createClient(PeerService, transport);
  while (!signal.aborted) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    try {
      const both = AbortSignal.any([signal, silence.signal]);
      for await (const update of client.follow({}, { signal: both })) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
        if (!take(update)) return;
      }
      lost("it closed the stream");
    } catch (error) {
      if (signal.aborted) return;
      lost(silence.signal.aborted ? "it sends nothing" : errorText(error));
    } finally {
      clearTimeout(timer);
    }
    await sleep(againMs, undefined, { signal }).catch(() => {});
  }
}
