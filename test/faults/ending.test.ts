import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { RolloutService } from "../../control/gen/weir/v1/rollout_pb.ts";
import { FleetService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { openStore } from "../../control/store/index.ts";
import { startFakeProxy } from "../rollout/fake-proxy.ts";
import { routeWithPods } from "../rollout/world.ts";
import { sotw } from "../xds/fake-envoy.ts";
import { type Service, startService } from "./service.ts";

const patience = { timeout: 60_000 };
/** What open streams get at most once the process is told to end. */
const graceMs = 10_000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-ending-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
});

function clientsOf({ url }: Service) {
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "2" });
  return {
    routes: createClient(RouteService, transport),
    fleet: createClient(FleetService, transport),
    rollouts: createClient(RolloutService, transport),
  };
}

function routeNamed(name: string) {
  const route = routeWithPods(9001, 9002);
  Object.assign(route.metadata ?? {}, { namespace: "inference", name });
  if (route.spec) route.spec.hosts = [`${name}.example.com`];
  return route;
}

/** `weir` with the words, against a service. */
function weir(service: Service, ...words: string[]) {
  const child = spawn(process.execPath, ["dist/control/main.js", ...words], {
    env: { ...process.env, WEIR_SERVER: service.url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.err += chunk;
  });
  return { said, ended: once(child, "exit").then(([code]) => code as number | null) };
}

/** Reads a watch to its end, and tells how it ended. */
async function endOf(watch: AsyncIterable<unknown>, first: () => void): Promise<ConnectError> {
  try {
    for await (const _ of watch) first();
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("it ended as if all were told");
}

describe("D17: a service that is told to end in the middle of a shift", {
  timeout: 180_000,
}, () => {
  it("ends within its grace, keeps what it acknowledged, and tells watchers, proxies and the shift that waits", async () => {
    const store = `lmdb:${join(directory, "store")}`;
    const service = await startService(["--store", store]);
    const clients = clientsOf(service);
    await clients.routes.applyRoute({ route: routeNamed("chat") });
    await clients.routes.applyRoute({ route: routeNamed("other") });

    const proxy = startFakeProxy(service.xds, "edge-1");
    onTestFinished(() => proxy.close());
    const applied = async () => (await clients.routes.getRoute({ name: "chat" })).applied;
    await expect.poll(applied, patience).toMatchObject({ applied: 1, wanted: 1 });
    const streams = Array.from({ length: 20 }, (_, i) => {
      const stream = sotw(service.xds);
      stream.send({
        node: { id: `edge-${i + 2}` },
        typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
      });
      return stream;
    });
    await Promise.all(streams.map((stream) => stream.next()));
    let told = 0;
    const watches = Array.from({ length: 10 }, () => [
      clients.routes.watchRoute({ name: "" }),
      clients.fleet.watchProxies({}),
    ])
      .flat()
      .map((watch) => endOf(watch, () => told++));
    watches.push(endOf(clients.rollouts.watchRollout({ name: "" }), () => {}));
    await expect.poll(() => told, patience).toBeGreaterThanOrEqual(30);

    proxy.mute = true;
    const waiting = weir(service, "shift", "chat", "canary=30", "--wait", "--timeout", "25");
    await expect.poll(() => waiting.said.out, patience).toContain("chat shifted");
    // Someone goes on writing all the while; each etag was acknowledged.
    const acknowledged: string[] = [];
    const writer = (async () => {
      for (let percent = 1; ; percent = (percent % 99) + 1) {
        const { state } = await clients.routes.shiftWeights({
          name: "other",
          weights: { canary: percent },
        });
        acknowledged.push(state?.etag ?? "");
      }
    })().catch((error) => ConnectError.from(error));
    await expect.poll(() => acknowledged.length, patience).toBeGreaterThan(10);

    const gone = once(service.child, "exit");
    const toldMs = performance.now();
    service.child.kill("SIGTERM");
    expect(await gone).toEqual([0, null]);
    expect(performance.now() - toldMs).toBeLessThan(graceMs);

    for (const end of await Promise.all(watches))
      expect([end.code, end.rawMessage]).toEqual([
        Code.Unavailable,
        "the control service is shutting down",
      ]);
    await Promise.all(streams.map(({ ended }) => ended));
    // A stream that was opened as the session went away is refused unread (RFC 9113, section 8.7);
    // this client finds that out by itself, and has no code for it.
    const last = await writer;
    if (!last.message.includes("NGHTTP2_REFUSED_STREAM")) expect(last.code).toBe(Code.Unavailable);
    expect(await waiting.ended).toBe(1);
    expect(waiting.said.err).toMatch(
      /error: the change of chat is stored \(etag \d+\), but the control service became unreachable/,
    );

    const after = openStore(store);
    onTestFinished(() => after.close());
    const entries = await after.audit("", 10_000);
    const written = new Set(entries.map(({ after: state }) => state?.etag));
    expect(acknowledged.filter((etag) => !written.has(etag))).toEqual([]);
    const [, etag = ""] = /stored \(etag (\d+)\)/.exec(waiting.said.err) ?? [];
    expect((await after.get("inference/chat"))?.etag).toBe(etag);
  });

  it("twice ends at once, with the code of one who was interrupted", async () => {
    const service = await startService(["--store", `lmdb:${join(directory, "store")}`]);
    // A request that does not become whole holds up an end in good order.
    const socket = connect(service.api, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.write(
      "POST /weir.v1.RouteService/ListRoutes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{",
    );
    await service.ready();
    const gone = once(service.child, "exit");
    const again = setInterval(() => service.child.kill("SIGTERM"), 5);
    onTestFinished(() => clearInterval(again));
    expect(await gone).toEqual([130, null]);
  });
});
