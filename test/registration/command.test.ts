import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { clientsOf } from "../api/clients.ts";
import { local, startQuietServer, urlOf } from "../api/control-server.ts";
import { weir } from "../e2e/weir-up.ts";
import { freePorts } from "../free-ports.ts";
import { openRoute } from "./registered.ts";

const soon = { timeout: 30_000, interval: 100 };
const ranges = { endpointRanges: [{ net: "127.0.0.0", bits: 8 }] };
const flags = (server: string, ...more: string[]) => [
  "register",
  ...["--route", "chat", "--variant", "stable", "--address", "127.0.0.1:9"],
  ...["--lease", "3s", "--server", server, ...more],
];
const forEver = [process.execPath, "-e", "setInterval(() => {}, 1000)"];

/** A service with the route, and the states of its pods. */
async function startService(port = 0) {
  const server = await startQuietServer({ ...ranges, listen: local(port) });
  onTestFinished(() => server.close());
  const clients = clientsOf(urlOf(server));
  await clients.routes.applyRoute({ route: openRoute() });
  const states = async () =>
    (await clients.endpoints.listEndpoints({ name: "chat" })).endpoints.map(({ state }) => state);
  return { url: urlOf(server), states };
}

/** The command in a process of its own. */
function start(args: readonly string[]) {
  const child = spawn(process.execPath, ["dist/control/main.js", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const gone = new Promise<number | null>((done) => child.once("exit", done));
  return { child, gone, said: () => said };
}

it("ends with its command, and with a refusal that lasts", async () => {
  const { url } = await startService();
  const args = flags(url).map((each) => (each === "127.0.0.1:9" ? "169.254.169.254:80" : each));
  const { code, stderr } = await weir([...args, "--", ...forEver]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining("address 169.254.169.254:80 is a link-local address [address-refused]"),
  ]);
});

it("waits for a control service that is away", async () => {
  const [port = 0] = await freePorts(1);
  const { child, gone, said } = start(flags(`127.0.0.1:${port}`));
  await expect.poll(said, soon).toContain("trying again");
  const { states } = await startService(port);
  await expect.poll(states, soon).toEqual(["ready"]);
  child.kill("SIGTERM");
  await expect.poll(states, soon).toEqual(["draining"]);
  child.kill("SIGTERM");
  expect(await gone).toBe(0);
  expect(await states()).toEqual([]);
});

it("registers a pod while it is healthy, and not while it is not", async () => {
  let status = 503;
  const health = createServer((_request, response) => response.writeHead(status).end());
  await new Promise<void>((done) => health.listen(0, "127.0.0.1", done));
  onTestFinished(() => void health.close());
  const { url, states } = await startService();
  const { port } = health.address() as AddressInfo;
  const { said } = start(flags(url, "--health", `http://127.0.0.1:${port}/health`));
  await expect.poll(said, soon).toContain("waiting for the pod's health");
  expect(await states()).toEqual([]);
  status = 200;
  await expect.poll(states, soon).toEqual(["ready"]);
  status = 500;
  await expect.poll(states, soon).toEqual([]);
  expect(said()).toContain("its lease is not renewed");
  status = 200;
  await expect.poll(states, soon).toEqual(["ready"]);
});
