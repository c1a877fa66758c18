import { createServer, type Server, type ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { freePorts } from "../free-ports.ts";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type NameServer, startNameServer } from "./name-server.ts";
import { openSocket, rawRequest, readUntil, sendRaw } from "./raw-client.ts";

// Pods that a route lists by name, on addresses that a DNS server tells.

const name = "pods.gpu.example";
const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
let port: number;
let servers: Server[];
let stream: ServerResponse | undefined;
let names: NameServer;
let gateway: Gateway;

beforeAll(async () => {
  [port = 0] = await freePorts(1);
  servers = await Promise.all(
    addresses.map(
      (address) =>
        new Promise<Server>((resolve) => {
          const server = createServer((req, res) => {
            res.setHeader("x-pod", address);
            if (req.url !== "/stream") return void res.end("{}");
            res.write("data: first\n\n");
            stream = res;
          });
          server.listen(port, address, () => resolve(server));
        }),
    ),
  );
  names = await startNameServer();
  gateway = await startGateway({ nameServer: names.port });
});
afterAll(async () => {
  await gateway?.stop();
  await names?.close();
  for (const server of servers ?? []) {
    server.closeAllConnections();
    server.close();
  }
});
beforeEach(() => {
  names.addresses.clear();
  names.fails = false;
});

const serve = (endpoints: string[], more: object = {}) => {
  const variants = [{ name: "stable", weight: 100, labels: { version: "v1" }, endpoints, ...more }];
  return gateway.apply(edgeRoute("", { variants }));
};

/** Which pods answer, and with which statuses, of a few requests. */
async function answering(): Promise<string[]> {
  const found = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const { head, status } = await sendRaw(gateway.url, rawRequest("/v1/models"));
    found.add(/^x-pod: (.*)$/m.exec(head)?.[1] ?? String(status));
  }
  return [...found].sort();
}
const wait = { timeout: 30_000 };

it("a name stands for all of its addresses, and other addresses are found", async () => {
  names.addresses.set(name, addresses.slice(0, 2));
  await serve([`${name}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(0, 2));
  names.addresses.set(name, addresses.slice(1));
  await expect.poll(answering, wait).toEqual(addresses.slice(1));
});

it("a stream goes on although its pod is no longer an address of the name, and the list changes", async () => {
  names.addresses.set(name, addresses.slice(0, 1));
  await serve([`${name}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(0, 1));
  const socket = await openSocket(gateway.url);
  socket.write(rawRequest("/stream"));
  await readUntil(socket, (text) => text.includes("data: first"));
  names.addresses.set(name, addresses.slice(1, 2));
  await expect.poll(answering, wait).toEqual(addresses.slice(1, 2));
  // A change of the list makes a new cluster, and ends none of the old one's streams either.
  await serve([`${name}:${port}`, `${addresses[2]}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(1));
  const rest = readUntil(socket, (text) => text.includes("data: last"));
  stream?.end("data: last\n\n");
  expect(await rest).toContain("data: last");
});

it("names and addresses stand beside each other, and take each other's place", async () => {
  names.addresses.set(name, addresses.slice(0, 1));
  await serve([`${name}:${port}`, `${addresses[1]}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(0, 2));
  await serve([`${addresses[2]}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(2));
  await serve([`${name}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(0, 1));
});

it("a name that does not exist gets 503, until it does", async () => {
  await serve([`${name}:${port}`]);
  await expect.poll(answering, wait).toEqual(["503"]);
  names.addresses.set(name, addresses.slice(0, 1));
  await expect.poll(answering, wait).toEqual(addresses.slice(0, 1));
});

it("addresses stay while the DNS server fails", async () => {
  names.addresses.set(name, addresses.slice(0, 1));
  await serve([`${name}:${port}`]);
  await expect.poll(answering, wait).toEqual(addresses.slice(0, 1));
  names.fails = true;
  const { asked } = names;
  await expect.poll(() => names.asked, wait).toBeGreaterThan(asked + 2);
  expect(await answering()).toEqual(addresses.slice(0, 1));
});

it("a pod in reserve takes over from a name without addresses", async () => {
  await serve([`${name}:${port}`], { fallbackEndpoints: [`${addresses[2]}:${port}`] });
  await expect.poll(answering, wait).toEqual(addresses.slice(2));
});
