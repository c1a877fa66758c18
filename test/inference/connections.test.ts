import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";
import { askShortStreams, completionsPath, oneToken } from "./short-streams.ts";
import { startUvicorn, type Uvicorn } from "./uvicorn.ts";

const streams = 5_000;
let models: Models;
let weir: BehindWeir;
let llama: Llama;
let uvicorn: Uvicorn;

beforeAll(async () => {
  models = writeModels();
  llama = await startLlama(models.fast);
  uvicorn = await startUvicorn();
  weir = await startBehindWeir();
  await weir.apply(
    inferenceRoute("llama", { stable: llama.endpoint }),
    inferenceRoute("python", { stable: uvicorn.endpoint }, { server: "vllm" }),
    // What a route says itself holds: here, what every proxy does by itself.
    inferenceRoute(
      "kept",
      { stable: llama.endpoint },
      {
        resilience: {
          connections: { idleTimeout: "3600s", maxRequestsPerConnection: 1_000_000 },
        },
      },
    ),
  );
});
afterAll(async () => {
  await weir?.stop();
  await llama?.stop();
  await uvicorn?.stop();
  models?.remove();
});

const ask = (name: string, count: number, clients: number) =>
  askShortStreams(weir.client, count, clients, { host: hostOf(name) });

/** Two requests each from many clients, the second when the server gives up the connection of the first. */
async function askAfterPauses(name: string, clients: number, pauseMs: number): Promise<number[]> {
  const headers = { host: hostOf(name) };
  const json = { ...oneToken, stream: false };
  const statuses = await Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      const first = await weir.client.post(completionsPath, json, headers);
      // Spread over what a timer and two machines' clocks may differ by.
      await sleep(pauseMs - 50 + (100 * i) / clients);
      const second = await weir.client.post(completionsPath, json, headers);
      return [first.status, second.status];
    }),
  );
  return statuses.flat().filter((status) => status !== 200);
}

/** Connections to a route's pods that were ended by Envoy itself, or by the pod. */
async function endedBy(side: "local" | "remote", name: string): Promise<number> {
  const stat = `cluster.inference/${name}/stable.upstream_cx_destroy_${side}`;
  const text = await (await fetch(`${weir.admin}/stats?filter=upstream_cx_destroy_`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${stat}: `));
  return Number(line?.slice(stat.length + 2));
}

const made = async () => (await llama.counters()).predictedTokens;

describe("llama.cpp's server, which closes a connection after each stream", () => {
  it(`answers each of ${streams} streams once, and none fails`, async () => {
    const before = await made();
    expect(await ask("llama", streams, 8)).toEqual([]);
    expect((await made()) - before).toBe(streams);
  }, 120_000);

  it("fails some where its connections are used again", async () => {
    const before = await made();
    const failed = await ask("kept", 1_500, 8);
    expect(failed.length).toBeGreaterThan(0);
    expect((await made()) - before).toBe(1_500 - failed.length);
  }, 120_000);

  it("answers after a pause as long as it keeps connections", async () => {
    const before = await made();
    expect(await askAfterPauses("llama", 60, 5_000)).toEqual([]);
    expect((await made()) - before).toBe(120);
  });
});

describe("a server on uvicorn, which closes connections that are idle for 5 s", () => {
  it("answers after a pause of 5 s, each request once", async () => {
    expect(await askAfterPauses("python", 60, 5_000)).toEqual([]);
    expect(await uvicorn.completions()).toBe(120);
    // Envoy ended the connections, never the server: there was no moment to be unlucky in.
    expect(await endedBy("remote", "python")).toBe(0);
    expect(await endedBy("local", "python")).toBeGreaterThan(50);
  });
});
