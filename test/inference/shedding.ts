import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { GatewayClient } from "../e2e/gateway-client.ts";
import { completionsPath } from "./short-streams.ts";

const priorities = { gold: 10, silver: 5, bronze: 1 };
type Tier = keyof typeof priorities;
const tiers = Object.keys(priorities) as Tier[];

/** Limits under which pods that are busy are all that refuses anyone. */
export const sheds = {
  identity: [{ header: "x-tenant-id" }],
  tiers: Object.fromEntries(
    tiers.map((tier) => [tier, { requestsPerSecond: 1000, priority: priorities[tier] }]),
  ),
  tenants: Object.fromEntries(tiers.map((tier) => [tier, tier])),
  default: "bronze",
  overload: {},
};

const each = (): Record<Tier, number> => ({ gold: 0, silver: 0, bronze: 0 });

/** Clients that stream answers one after the other, as many of each tier, and come back when they are told to. */
interface Crowd {
  answered: Record<Tier, number>;
  refused: Record<Tier, number>;
  /** Until bronze was refused for the first time, from when the clients began. */
  firstRefusalMs(): number | undefined;
  /** Statuses that are neither an answer nor a refusal for overload. */
  strange: string[];
  leave(): Promise<void>;
}

function startCrowd(
  client: GatewayClient,
  host: string,
  ofEachTier: number,
  tokens: number,
): Crowd {
  const answered = each();
  const refused = each();
  const strange: string[] = [];
  let firstMs: number | undefined;
  const over = new AbortController();
  const beganMs = performance.now();
  const body = {
    model: "tiny",
    stream: true,
    messages: [{ role: "user", content: "hello" }],
    max_tokens: tokens,
    temperature: 0,
    ignore_eos: true,
  };
  async function ask(tier: Tier): Promise<void> {
    while (!over.signal.aborted) {
      const {
        status,
        headers,
        body: text,
      } = await client.post(completionsPath, body, {
        host,
        "x-tenant-id": tier,
      });
      if (status === 200) answered[tier]++;
      else if (status !== 503 || !text.includes("overloaded")) strange.push(`${status} ${text}`);
      else {
        refused[tier]++;
        if (tier === "bronze") firstMs ??= performance.now() - beganMs;
        // As clients of the APIs' own libraries do.
        const waitMs = Number(headers["retry-after"]) * 1000;
        await sleep(waitMs, undefined, { signal: over.signal }).catch(() => {});
      }
    }
  }
  const asking = tiers.flatMap((tier) => Array.from({ length: ofEachTier }, () => ask(tier)));
  return {
    answered,
    refused,
    strange,
    firstRefusalMs: () => firstMs,
    async leave() {
      over.abort();
      await Promise.all(asking);
    },
  };
}

/**
 * Streams from three times as many clients as there are places, until bronze makes room: expects
 * it to be refused, the others' answers to go on, and gold to be refused never.
 * @returns until bronze was refused for the first time, in ms
 */
export async function expectShed(
  client: GatewayClient,
  host: string,
  places: number,
): Promise<number> {
  const crowd = startCrowd(client, host, places, 30);
  await expect.poll(() => crowd.refused.bronze, { timeout: 30_000 }).toBeGreaterThan(20);
  const { gold } = crowd.answered;
  await expect.poll(() => crowd.answered.gold, { timeout: 60_000 }).toBeGreaterThan(gold + 16);
  await crowd.leave();
  const firstMs = crowd.firstRefusalMs() ?? Number.POSITIVE_INFINITY;
  console.log(`bronze was refused after ${Math.round(firstMs)} ms`);
  expect(crowd.strange).toEqual([]);
  expect(crowd.refused.gold).toBe(0);
  expect(crowd.refused.bronze).toBeGreaterThan(crowd.refused.silver);
  return firstMs;
}
