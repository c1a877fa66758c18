import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "./gateway.ts";
import {
  openSocket,
  parseAnswer,
  rawRequest,
  readToEnd,
  readUntil,
  sendRaw,
} from "./raw-client.ts";

// Clients that are slow, silent, many or rude, at a gateway that waits less long than by default.

const maxConnections = 40;
let pod: Server;
let gateway: Gateway;

beforeAll(async () => {
  pod = createServer(answer);
  await new Promise<void>((resolve) => pod.listen(0, "127.0.0.1", resolve));
  gateway = await startGateway({
    edge: { headersTimeoutMs: 800, idleTimeoutMs: 1500, streamIdleTimeoutMs: 2000 },
    limits: { maxConnections },
  });
  await gateway.apply(route("chat", {}));
  await gateway.apply(route("timed", { resilience: { timeout: "1s" } }));
});
afterAll(async () => {
  await gateway?.stop();
  pod?.closeAllConnections();
  pod?.close();
});

/** The path says how: a stream of events that lives, one that hangs, no answer at all, or one at once. */
function answer(req: IncomingMessage, res: ServerResponse): void {
  req.resume();
  if (req.url === "/silent") return;
  if (req.url === "/hang" || req.url === "/alive") {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: first\n\n");
  }
  if (req.url === "/hang") return;
  if (req.url !== "/alive") {
    res.end("{}");
    return;
  }
  let events = 0;
  const timer = setInterval(() => {
    if (++events < 8) return res.write(`data: ${events}\n\n`);
    clearInterval(timer);
    return res.end("data: [DONE]\n\n");
  }, 500);
}

function route(name: string, spec: object): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "inference" },
    spec: {
      hosts: [`${name}.example.com`],
      service: { name, port: 8000 },
      variants: [
        {
          name: "stable",
          weight: 100,
          labels: { version: "v1" },
          endpoints: [`127.0.0.1:${(pod.address() as AddressInfo).port}`],
        },
      ],
      ...spec,
    },
  };
}

const served = async () => (await sendRaw(gateway.url, rawRequest("/v1/models"))).status;
const ready = async () => (await fetch(`${gateway.admin}/ready`)).status;

async function stat(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.admin}/stats?filter=${name}`)).text();
  return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
}

describe("a client that is slow", () => {
  it("with its headers, byte by byte, is answered with 408 and cut", async () => {
    const socket = await openSocket(gateway.url);
    const all = readToEnd(socket);
    const text = rawRequest("/v1/models", [`x-slow: ${"a".repeat(10_000)}`]);
    let sent = 0;
    const timer = setInterval(() => socket.write(text[sent++] ?? "a"), 20);
    const got = parseAnswer(await all);
    clearInterval(timer);
    expect(got.status).toBe(408);
    expect(sent).toBeLessThan(text.length);
  });

  it("with its body, and then silent, is answered and cut", async () => {
    const socket = await openSocket(gateway.url);
    const all = readToEnd(socket);
    socket.write(`${rawRequest("/silent", ["content-length: 1000"], "POST")}{`);
    expect([408, 504]).toContain(parseAnswer(await all).status);
  });

  it("to ask again is cut after the idle time, and so is one that never asks", async () => {
    const silent = readToEnd(await openSocket(gateway.url));
    const socket = await openSocket(gateway.url);
    const all = readToEnd(socket);
    socket.write(rawRequest("/v1/models").replace("connection: close\r\n", ""));
    expect(parseAnswer(await all).status).toBe(200);
    expect(await silent).toBe("");
  });
});

describe("a stream", () => {
  it("that says something now and then is not cut, however long it is", async () => {
    const { body } = await sendRaw(gateway.url, rawRequest("/alive"));
    expect(body).toContain("data: 7");
    expect(body).toContain("[DONE]");
  });

  it("that hangs is cut when it stood still for too long", async () => {
    const { status, body } = await sendRaw(gateway.url, rawRequest("/hang"));
    expect(status).toBe(200);
    expect(body).toContain("data: first");
    expect(body).not.toContain("0\r\n\r\n");
  });

  it("that hangs is cut at the timeout of its route, where it states one", async () => {
    const before = await stat("cluster.inference/timed/stable.upstream_rq_timeout");
    const hosts = ["timed.example.com"];
    const hung = await sendRaw(gateway.url, rawRequest("/hang", [], "GET", hosts[0]));
    expect(hung.body).toContain("data: first");
    const silent = await sendRaw(gateway.url, rawRequest("/silent", [], "GET", hosts[0]));
    expect(silent.status).toBe(504);
    expect(await stat("cluster.inference/timed/stable.upstream_rq_timeout")).toBe(before + 2);
  });
});

describe("connections beyond the limit", () => {
  it("are closed at once; those within it, health and the admin interface go on", async () => {
    const holders: Socket[] = [];
    const closed = new Set<Socket>();
    for (let i = 0; i < maxConnections + 20; i++) {
      const socket = await openSocket(gateway.url);
      socket.once("close", () => closed.add(socket));
      // Held by a stream that lives, rather than idle.
      socket.write(rawRequest("/alive"));
      holders.push(socket);
    }
    await expect.poll(() => closed.size, { timeout: 10_000 }).toBeGreaterThanOrEqual(20);
    expect(holders.length - closed.size).toBeLessThanOrEqual(maxConnections);
    const live = holders.find((socket) => !closed.has(socket)) as Socket;
    expect(await readUntil(live, (text) => text.includes("data: 7"))).toContain("data: ");
    expect(await ready()).toBe(200);
    for (const socket of holders) socket.destroy();
    await expect.poll(() => served().catch(() => 0), { timeout: 10_000 }).toBe(200);
  });
});
