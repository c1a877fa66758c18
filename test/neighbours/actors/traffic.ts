import { setTimeout as sleep } from "node:timers/promises";
import { type GatewayClient, gatewayClient } from "../../e2e/gateway-client.ts";
import type { createDataPlane } from "../invariants/data-plane.ts";

/** A route that users call. */
export interface Called {
  route: string;
  host: string;
  /** Callers, each on a connection of its own. */
  callers: number;
  /** Share of its canary now, 0 to 1; absent where it changes all the time. */
  share?(): number | undefined;
}

export interface TrafficOptions {
  gateway: string;
  called: readonly Called[];
  /** Whether a proxy is being restarted: its own connections end then. */
  isRestarting(): boolean;
  dataPlane: ReturnType<typeof createDataPlane>;
  random: () => number;
}

const pauseMs = 300;
/** The kernel chooses the proxy for each connection: after so many requests there is a new one. */
const requestsPerConnection = 20;
const streamEvery = 7;
const tries = 5;

/** A status that is none, a broken body: an answer all the same, which no restart excuses. */
class BadAnswer extends Error {}

/** Steady requests to both real Envoys: a caller asks about three times a second. */
export function startTraffic({ gateway, called, isRestarting, dataPlane, random }: TrafficOptions) {
  const counts = { requests: 0, streams: 0, excused: 0 };
  let over = false;

  async function ask(client: GatewayClient, host: string): Promise<string> {
    const number = counts.requests++;
    const headers = {
      host,
      "x-user-id": `user-${Math.floor(random() * 1e9)}`,
      "x-tenant-id": "acme",
    };
    const isStream = number % streamEvery === 0;
    const body = { stream: isStream, messages: [{ role: "user", content: "hello" }] };
    const answer =
      number % 2 === 0
        ? await client.post("/v1/chat/completions", body, headers)
        : await client.get("/v1/models", headers);
    if (answer.status !== 200) throw new BadAnswer(`status ${answer.status} ${answer.body}`);
    if (isStream && number % 2 === 0) {
      if (!answer.body.includes("[DONE]")) throw new BadAnswer("a stream was cut");
      counts.streams++;
    }
    return String(answer.headers["x-pod"]);
  }

  async function call({ route, host, share = () => undefined }: Called): Promise<void> {
    let client = gatewayClient(gateway, 1);
    for (let sent = 1; !over; sent++) {
      if (sent % requestsPerConnection === 0) {
        client.close();
        client = gatewayClient(gateway, 1);
      }
      for (let tried = 1; ; tried++) {
        const before = share();
        const restarting = isRestarting();
        try {
          const pod = await ask(client, host);
          dataPlane.answered(route, pod, before === share() ? before : undefined);
          break;
        } catch (error) {
          const excused = (restarting || isRestarting()) && !(error instanceof BadAnswer);
          if (!excused || tried >= tries) {
            const at = new Date().toISOString();
            const why = error instanceof Error ? error.message : String(error);
            dataPlane.failed(route, `${at} ${why}`);
            break;
          }
          counts.excused++;
          client.close();
          client = gatewayClient(gateway, 1);
          await sleep(100);
        }
      }
      await sleep(pauseMs * (0.5 + random()));
    }
    client.close();
  }

  const calling = called.flatMap((each) => Array.from({ length: each.callers }, () => call(each)));
  return {
    counts,
    async stop() {
      over = true;
      await Promise.all(calling);
    },
  };
}
