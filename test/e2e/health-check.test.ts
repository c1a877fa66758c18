import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { openSocket, rawRequest, readUntil, sendRaw } from "./raw-client.ts";

/** A pod whose health is a status, or silence. */
interface CheckedPod {
  endpoint: string;
  health: number | "silent";
  checks: number;
  served: number;
  /** The stream that was asked for last. */
  stream: ServerResponse | undefined;
  host: string;
  server: Server;
}

async function startCheckedPod(health: CheckedPod["health"]): Promise<CheckedPod> {
  const server = createServer((req, res) => {
    if (req.url === "/health") {
      pod.checks++;
      pod.host = req.headers.host ?? "";
      if (pod.health !== "silent") res.writeHead(pod.health).end();
      return;
    }
    pod.served++;
    if (req.url !== "/stream") return void res.end("{}");
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: first\n\n");
    pod.stream = res;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pod: CheckedPod = {
    endpoint,
    health,
    checks: 0,
    served: 0,
    stream: undefined,
    host: "",
    server,
  };
  return pod;
}

let gateway: Gateway;
let pods: CheckedPod[] = [];
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway?.stop());
afterEach(() => {
  for (const { server } of pods) {
    server.closeAllConnections();
    server.close();
  }
  pods = [];
});

const check = { path: "/health", interval: "0.2s", timeout: "0.4s", unhealthyThreshold: 2 };

async function serve(
  health: CheckedPod["health"][],
  resilience: object = {},
): Promise<CheckedPod[]> {
  pods = await Promise.all(health.map(startCheckedPod));
  await list(pods, resilience);
  return pods;
}

function list(listed: readonly CheckedPod[], resilience: object = {}): Promise<void> {
  const endpoints = listed.map(({ endpoint }) => endpoint);
  const variants = [{ name: "stable", weight: 100, labels: { version: "v1" }, endpoints }];
  return gateway.apply(
    edgeRoute("", { variants, resilience: { healthCheck: check, ...resilience } }),
  );
}

const ask = async () => (await sendRaw(gateway.url, rawRequest("/v1/models"))).status;
const wait = { timeout: 20_000 };
/** Requests that each pod gets of the next eight. */
async function shares(): Promise<number[]> {
  const before = pods.map(({ served }) => served);
  for (let i = 0; i < 8; i++) await ask();
  return pods.map(({ served }, i) => served - (before[i] ?? 0));
}

describe("a pod that says itself whether it is well", () => {
  it("gets no request while it loads its model, and its first one soon after", async () => {
    const [pod] = await serve([503]);
    if (pod === undefined) throw new Error("no pod");
    expect(await ask()).toBe(503);
    expect(pod.served).toBe(0);
    expect(pod.host).toBe("chat.example.com");
    pod.health = 200;
    await expect.poll(ask, wait).toBe(200);
  });

  it("gets no new request once it is unhealthy, and ends the streams that it has", async () => {
    const [pod, other] = await serve([200, 503]);
    if (pod === undefined || other === undefined) throw new Error("no pods");
    await expect.poll(ask, wait).toBe(200);
    const stream = await openSocket(gateway.url);
    stream.write(rawRequest("/stream"));
    await readUntil(stream, (text) => text.includes("data: first"));
    other.health = 200;
    await expect.poll(async () => (await shares())[1], wait).toBeGreaterThan(0);
    pod.health = 503;
    await expect.poll(shares, wait).toEqual([0, 8]);
    const rest = readUntil(stream, (text) => text.includes("data: last"));
    pod.stream?.end("data: last\n\n");
    expect(await rest).toContain("data: last");
    pod.health = 200;
    await expect.poll(async () => (await shares())[0], wait).toBeGreaterThan(0);
  });

  it("gets none once it no longer answers, as often as the threshold says", async () => {
    const [pod] = await serve([200, 200]);
    if (pod === undefined) throw new Error("no pod");
    pod.health = "silent";
    await expect.poll(shares, wait).toEqual([0, 8]);
  });

  it("gets none once it is no longer listed, however well it is", async () => {
    const [, other] = await serve([200, 200]);
    if (other === undefined) throw new Error("no pods");
    await list([other]);
    await expect.poll(shares, wait).toEqual([0, 8]);
  });

  it("stays ejected for its errors although it answers checks", async () => {
    const outlier = { consecutiveErrors: 1, baseEjectionTime: "600s", maxEjectionPercent: 100 };
    const [pod] = await serve([200], { outlier });
    if (pod === undefined) throw new Error("no pod");
    await expect.poll(ask, wait).toBe(200);
    pod.server.removeAllListeners("request");
    pod.server.on("request", (req, res: ServerResponse) => {
      if (req.url === "/health") pod.checks++;
      else pod.served++;
      res.writeHead(req.url === "/health" ? 200 : 500).end();
    });
    expect(await ask()).toBe(500);
    await expect.poll(ask, wait).toBe(503);
    const { checks, served } = pod;
    await expect.poll(() => pod.checks, wait).toBeGreaterThan(checks + 5);
    expect(await ask()).toBe(503);
    expect(pod.served).toBe(served);
  });
});
