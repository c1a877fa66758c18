import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { resourceTypes } from "../../control/xds/index.ts";
import { routeWithPods } from "../rollout/world.ts";
import { sotw } from "../xds/fake-envoy.ts";
import { type Service, startService } from "./service.ts";

const cds = resourceTypes.find(({ name }) => name === "CDS")?.url ?? "";
const memory = ["--store", "memory"];

function routesOf({ url }: Service) {
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
  return createClient(RouteService, transport);
}

/** Connections that say nothing. */
function openIdle(port: number, count: number): Socket[] {
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    return socket;
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return sockets;
}

describe("D11: a service that is short of", () => {
  it("files turns connections away, keeps the streams it has, and takes new ones again when there is room", async () => {
    const service = await startService(memory);
    const routes = routesOf(service);
    const envoy = sotw(service.xds);
    onTestFinished(() => envoy.close());
    await routes.applyRoute({ route: routeWithPods(9001, 9002) });
    envoy.send({ node: { id: "edge", cluster: "weir" }, typeUrl: cds });
    await envoy.next();
    // Its own files are open by now: from here on all but a few are in use.
    const files = readdirSync(`/proc/${service.child.pid}/fd`).length;
    execFileSync("prlimit", ["--pid", String(service.child.pid), `--nofile=${files + 20}`]);
    const idle = openIdle(service.api, 100);
    const ended = idle.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    // Those that found no file are closed at once, the others when they have said nothing for long.
    await Promise.any(ended);
    for (const socket of idle) socket.destroy();
    await expect.poll(service.ready, { timeout: 10_000 }).toBe(200);
    await routes.applyRoute({ route: routeWithPods(9001, 9002) });
    expect(service.child.exitCode).toBeNull();
    // The stream that was there is served still.
    const route = routeWithPods(9001, 9002);
    for (const variant of route.spec?.variants ?? []) variant.name = `${variant.name}-2`;
    await routes.applyRoute({ route });
    expect((await envoy.next()).typeUrl).toBe(cds);
  });

  it("memory goes on under large routes and many readers", { timeout: 120_000 }, async () => {
    const service = await startService(memory, {
      env: { NODE_OPTIONS: "--max-old-space-size=128" },
    });
    const routes = routesOf(service);
    const route = routeWithPods(9001, 9002);
    const tenants = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, i) => [`tenant-${i}`, "gold"]),
    );
    const { rateLimit } = route.spec ?? {};
    if (rateLimit) rateLimit.tenants = tenants;
    const envoys = Array.from({ length: 50 }, (_, i) => ({
      id: `edge-${i}`,
      ...sotw(service.xds),
    }));
    onTestFinished(() => {
      for (const envoy of envoys) envoy.close();
    });
    const ecds = resourceTypes.find(({ name }) => name === "ECDS")?.url ?? "";
    for (const { id, send } of envoys) {
      send({ node: { id, cluster: "weir" }, typeUrl: cds });
      send({ typeUrl: ecds, resourceNames: ["weir"] });
    }
    for (let round = 0; round < 10; round++) {
      route.spec?.variants.forEach((variant, i) => {
        variant.weight = i === 0 ? 100 - round : round;
      });
      await routes.applyRoute({ route });
      await Promise.all(Array.from({ length: 10 }, () => routes.listRoutes({})));
    }
    expect(await service.ready()).toBe(200);
    expect(service.child.exitCode).toBeNull();
  });

  it("time, stopped for two seconds, answers everyone afterwards", async () => {
    const service = await startService(memory);
    const routes = routesOf(service);
    await routes.applyRoute({ route: routeWithPods(9001, 9002) });
    service.child.kill("SIGSTOP");
    const asked = Array.from({ length: 50 }, () => routes.getRoute({ name: "chat" }));
    await sleep(2_000);
    service.child.kill("SIGCONT");
    expect(await Promise.all(asked)).toHaveLength(50);
  });
});

describe("D12: a service whose log cannot be written", () => {
  it.each([
    ["goes to a full disk", 'exec "$@" 2>/dev/full', ["--log-format", "text"]],
    ["goes to a full disk, as JSON", 'exec "$@" 2>/dev/full', ["--log-format", "json"]],
    ["goes nowhere", 'exec "$@" 2>&-', ["--log-format", "text"]],
    ["goes to a program that has ended", 'exec "$@" 2> >(exec true)', ["--log-format", "text"]],
  ])("lives and works: it %s", async (_name, shell, flags) => {
    const service = await startService([...memory, ...flags], { shell });
    const routes = routesOf(service);
    for (let i = 0; i < 5; i++) {
      await routes.applyRoute({ route: routeWithPods(9001, 9002 + i) });
      // What is refused is logged.
      await fetch(`${service.url}/weir.v1.RouteService/GetRoute`, { method: "POST", body: "{" });
    }
    expect(await service.ready()).toBe(200);
    expect(service.child.exitCode).toBeNull();
  });
});
