import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { openSocket, rawRequest, sendRaw } from "./raw-client.ts";

// An Envoy that may use little memory, and clients that ask for much and read nothing.

const maxHeapBytes = 96 * 1024 * 1024;
const large = Buffer.alloc(16 * 1024 * 1024, "a");
let pod: Server;
let gateway: Gateway;

beforeAll(async () => {
  pod = createServer((req, res) => res.end(req.url === "/large" ? large : "{}"));
  await new Promise<void>((resolve) => pod.listen(0, "127.0.0.1", resolve));
  const endpoint = `127.0.0.1:${(pod.address() as AddressInfo).port}`;
  gateway = await startGateway({ limits: { maxHeapBytes } });
  await gateway.apply(edgeRoute(endpoint));
});
afterAll(async () => {
  await gateway?.stop();
  pod?.closeAllConnections();
  pod?.close();
});

/** The status of a small request; 0 where the connection is refused or nothing comes. */
const served = () =>
  Promise.race([
    sendRaw(gateway.url, rawRequest("/v1/models")).then(
      ({ status }) => status,
      () => 0,
    ),
    sleep(2000, 0),
  ]);

async function stat(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.admin}/stats?filter=${name}`)).text();
  return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
}

it("near its limit the proxy refuses requests rather than grow, stays manageable, and recovers", async () => {
  const pressure = () => stat("overload.envoy.resource_monitors.fixed_heap.pressure");
  expect(await served()).toBe(200);
  expect(await pressure()).toBeLessThan(85);

  const hoarders: Socket[] = [];
  let highest = 0;
  let refused = 0;
  for (let i = 0; i < 200; i++) {
    const socket = await openSocket(gateway.url);
    socket.pause();
    socket.write(rawRequest("/large"));
    hoarders.push(socket);
    if (i % 10 !== 0) continue;
    highest = Math.max(highest, await pressure());
    if ((await served()) !== 200) refused++;
  }
  // Unbounded, these clients would make it hold twice what it may.
  expect(highest).toBeGreaterThanOrEqual(95);
  expect(highest).toBeLessThan(110);
  expect(refused).toBeGreaterThan(0);
  // What tells people about it is not refused.
  expect((await fetch(`${gateway.admin}/ready`)).status).toBe(200);

  for (const socket of hoarders) socket.destroy();
  await expect.poll(() => served(), { timeout: 30_000 }).toBe(200);
});
