import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayClient } from "./gateway-client.ts";

/** Requests of users with a name of their own, until stopped. */
export interface Traffic {
  requests: number;
  /** Streams that were read to their end, among the requests. */
  streams: number;
  /** What every request that failed got instead of an answer. */
  failures: string[];
  stop(): Promise<void>;
}

/** Every so many requests are answered as a stream. */
const streamEvery = 10;

/** Asks a host again and again, with a pause in between. */
export function startTraffic(client: GatewayClient, host: string, pauseMs: number): Traffic {
  let over = false;
  const traffic = { requests: 0, streams: 0, failures: [] as string[] };

  async function ask(number: number): Promise<string | undefined> {
    const headers = { host, "x-user-id": `user-${number}`, "x-tenant-id": "acme" };
    if (number % streamEvery !== 0) {
      const { status } = await client.get("/v1/models", headers);
      return status === 200 ? undefined : `status ${status}`;
    }
    const body = { stream: true, messages: [{ content: "hello" }] };
    const answer = await client.post("/v1/chat/completions", body, headers);
    if (answer.status !== 200) return `status ${answer.status}`;
    if (!answer.body.includes("[DONE]")) return "a stream was cut";
    traffic.streams++;
    return undefined;
  }

  const running = (async () => {
    while (!over) {
      const failure = await ask(traffic.requests++).catch((error: Error) => error.message);
      if (failure) traffic.failures.push(`${new Date().toISOString()} ${host}: ${failure}`);
      await sleep(pauseMs);
    }
  })();
  return Object.assign(traffic, {
    async stop() {
      over = true;
      await running;
    },
  });
}
