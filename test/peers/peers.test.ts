import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PeerService } from "../../control/gen/weir/v1/peer_pb.ts";
import { ReportService } from "../../control/gen/weir/v1/report_pb.ts";
import { RolloutService } from "../../control/gen/weir/v1/rollout_pb.ts";
import { FleetSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { FleetService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import type { ServerOptions } from "../../control/service/wiring/options.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { local, refusal, startQuietServer, urlOf } from "../api/control-server.ts";
import { freePorts } from "../free-ports.ts";
import { type FakeProxy, startFakeProxy } from "../rollout/fake-proxy.ts";
import { startReporter } from "../rollout/reporter.ts";
import { rolloutOf, routeWithPods } from "../rollout/world.ts";
import { makeCertificates } from "../store/certificates.ts";
import { type EtcdCluster, startEtcd } from "../store/etcd-cluster.ts";

let etcd: EtcdCluster;
let used = 0;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd?.close());

/** Replicas on one store; each is told of all addresses, its own among them. */
async function replicas(count: number, options: Partial<ServerOptions> = {}) {
  const store = etcd.address(`peers-${used++}`);
  const ports = await freePorts(count);
  const peers = ports.map((port) => ({ host: "localhost", port }));
  const log: string[] = [];
  const started = await Promise.all(
    ports.map((port) =>
      startQuietServer({
        store,
        listen: local(port),
        peers,
        log: (line) => log.push(line),
        ...options,
      }),
    ),
  );
  for (const server of started) onTestFinished(() => server.close());
  return { started, log };
}

const over = (server: ControlServer) =>
  createConnectTransport({ baseUrl: urlOf(server), httpVersion: "2" });

function proxyOf({ xds }: ControlServer, id: string): FakeProxy {
  const proxy = startFakeProxy(xds.port, id);
  onTestFinished(() => proxy.close());
  return proxy;
}

async function appliedAt(transport: Transport): Promise<string> {
  const { applied } = await createClient(RouteService, transport).getRoute({ name: "chat" });
  const behind = applied?.behind.map(({ node, reason }) => `; ${node}: ${reason}`) ?? [];
  return [`${applied?.applied} of ${applied?.wanted}`, ...behind].join("");
}

const soon = { timeout: 20_000, interval: 100 };

it("is ready only when proxies can come too", async () => {
  const [api = 0] = await freePorts(1);
  const health = (path: string) =>
    fetch(`http://127.0.0.1:${api}/${path}`).then(
      async (answer) => `${answer.status} ${(await answer.text()).trim()}`,
      () => "nobody",
    );
  etcd.pause(0);
  const starting = startQuietServer({ store: etcd.address("slow"), listen: local(api) });
  try {
    await expect.poll(() => health("healthz"), soon).toBe("200 ok");
    expect(await health("readyz")).toBe("503 the xDS server does not listen yet");
  } finally {
    etcd.resume(0);
    const server = await starting;
    onTestFinished(() => server.close());
  }
  expect(await health("readyz")).toBe("200 ok");
});

describe("replicas that know each other", () => {
  it("tell what a rollout waits for, whichever of them is asked", async () => {
    const { started } = await replicas(2);
    const [first, second] = started as [ControlServer, ControlServer];
    await createClient(RouteService, over(first)).applyRoute({ route: routeWithPods(9001, 9002) });
    const rollouts = started.map((server) => createClient(RolloutService, over(server)));
    await rollouts[0]?.startRollout({ rollout: rolloutOf({ steps: [{ weight: 20 }] }) });
    const waits = () =>
      Promise.all(
        rollouts.map(async (each) => {
          const { progress } = await each.getRollout({ name: "chat" });
          const words = progress?.waitingFor[0]?.replace(/[0-9.]+ s/, "so long");
          return `${progress?.proven} of ${progress?.wanted}: ${words}`;
        }),
      );
    const nobody = "0 of 0: no proxy is connected";
    await expect.poll(waits, soon).toEqual([nobody, nobody]);
    const proxies = [proxyOf(first, "one"), proxyOf(second, "two")];
    await expect.poll(waits, soon).toEqual(["2 of 2: so long more", "2 of 2: so long more"]);
    // A watch at the replica that only follows shows what the other one sees.
    for (const each of rollouts)
      for await (const { progress } of each.watchRollout({ name: "chat" })) {
        expect([progress?.proven, progress?.wanted]).toEqual([2, 2]);
        break;
      }
    for (const proxy of proxies) proxy.close();
  });

  it("tell of the whole fleet, whichever of them is asked", async () => {
    const { started } = await replicas(3);
    const transports = started.map(over);
    const [first, second] = started as [ControlServer, ControlServer];
    await createClient(RouteService, over(first)).applyRoute({ route: routeWithPods(9001, 9002) });
    proxyOf(first, "one");
    const two = proxyOf(second, "two");
    for (const transport of transports)
      await expect.poll(() => appliedAt(transport), soon).toBe("2 of 2");
    const { proxies } = await createClient(FleetService, over(first)).listProxies({});
    expect(proxies.map(({ node, replica }) => [node, replica !== ""])).toEqual([
      ["one", false],
      ["two", true],
    ]);
    two.refusal = "no such wasm";
    await createClient(RouteService, over(first)).shiftWeights({
      name: "chat",
      weights: { canary: 40 },
    });
    // The proxy that refused is another replica's, and yet the shift is taken back everywhere.
    for (const transport of transports)
      await expect.poll(() => appliedAt(transport), soon).toBe("2 of 2");
    const { state } = await createClient(RouteService, over(first)).getRoute({ name: "chat" });
    expect(state?.route?.spec?.variants.map(({ weight }) => weight)).toEqual([100, 0]);
  });

  it("hand each other what is reported, and one of them alone shows it to Prometheus", async () => {
    const { started } = await replicas(2);
    const [first, second] = started as [ControlServer, ControlServer];
    await createClient(RouteService, over(first)).applyRoute({ route: routeWithPods(9001, 9002) });
    const reporter = startReporter(() => urlOf(second), "edge", 50);
    onTestFinished(() => reporter.stop());
    const seenAt = async (server: ControlServer) =>
      (await createClient(RouteService, over(server)).getRoute({ name: "chat" })).traffic[0]
        ?.requests ?? 0n;
    for (const server of started)
      await expect.poll(() => seenAt(server), soon).toBeGreaterThan(50n);
    const shown = async () =>
      (
        await Promise.all(
          started.map(async (server) => (await fetch(`${urlOf(server)}/metrics`)).text()),
        )
      ).filter((text) => text.includes("weir_canary_requests_total{")).length;
    expect(await shown()).toBe(1);
  });

  it("split a fleet-wide limit once, among the proxies of all", async () => {
    const { started } = await replicas(2);
    const route = routeWithPods(9001, 9002);
    const limit = route.spec?.rateLimit;
    if (limit) limit.fleet = create(FleetSchema, { proxies: 2 });
    await createClient(RouteService, over(started[0] as ControlServer)).applyRoute({ route });
    const total = limit?.tiers[limit.tenants.acme ?? ""]?.requestsPerSecond ?? 0;
    expect(total).toBe(100);
    const proxies = started.map((server, i) => ({
      node: `edge-${i}`,
      reports: createClient(ReportService, over(server)),
      intervalNs: 0n,
      wanted: i === 0 ? 90n : 30n,
    }));
    const held = () => proxies.map(({ intervalNs }) => (intervalNs ? 1e9 / Number(intervalNs) : 0));
    const sums: number[] = [];
    const round = async () => {
      for (const proxy of proxies) {
        const { node, reports, intervalNs, wanted } = proxy;
        const needs = [{ route: "inference/chat", tenant: "acme", wanted, intervalNs }];
        const { leases } = await reports.report({ node, epoch: "e", revision: "r", needs });
        expect(leases.length).toBeLessThanOrEqual(1);
        proxy.intervalNs = leases[0]?.intervalNs ?? intervalNs;
      }
      sums.push(held().reduce((sum, share) => sum + share, 0));
      await sleep(500);
      // Who wants more has more, and all of it is given away.
      return (held()[0] ?? 0) > 60 && (held()[1] ?? 0) > 15 && (sums.at(-1) ?? 0) > 0.98 * total;
    };
    await expect.poll(round, { timeout: 25_000, interval: 100 }).toBe(true);
    expect(Math.max(...sums)).toBeLessThan(total * 1.01);
  });

  it("count the proxies of one that falls silent as behind until they connect elsewhere", async () => {
    const { started, log } = await replicas(2);
    const [first, second] = started as [ControlServer, ControlServer];
    await createClient(RouteService, over(first)).applyRoute({ route: routeWithPods(9001, 9002) });
    proxyOf(second, "roaming");
    await expect.poll(() => appliedAt(over(first)), soon).toBe("1 of 1");
    await second.close();
    await expect
      .poll(() => appliedAt(over(first)), soon)
      .toMatch(/^0 of 1; roaming: the replica \S+ does not answer$/);
    expect(log.some((line) => /^lost replica \S+ at \S+: /.test(line))).toBe(true);
    proxyOf(first, "roaming");
    await expect.poll(() => appliedAt(over(first)), soon).toBe("1 of 1");
  });

  it("prove over TLS who they are, and tell nobody else", async () => {
    const files = makeCertificates(["someone"]);
    onTestFinished(() => files.remove());
    const tls = { cert: files.cert("server"), key: files.key("server") };
    const { started, log } = await replicas(2, { tls, token: "root-token" });
    const [first] = started as [ControlServer];
    await expect
      .poll(() => log.filter((line) => line.startsWith("connected to replica ")).length, soon)
      .toBe(2);
    const stranger = createConnectTransport({
      baseUrl: `https://127.0.0.1:${first.listen.port}`,
      httpVersion: "2",
      nodeOptions: { rejectUnauthorized: false },
    });
    const asked = createClient(PeerService, stranger).follow({});
    expect((await refusal(asked[Symbol.asyncIterator]().next())).code).toBe(Code.Unauthenticated);
  });

  it("are behind, by their address, while they have never answered", async () => {
    const [dead = 0] = await freePorts(1);
    const alone = await startQuietServer({ peers: [local(dead)] });
    onTestFinished(() => alone.close());
    await createClient(RouteService, over(alone)).applyRoute({ route: routeWithPods(9001, 9002) });
    const address = `127.0.0.1:${dead}`;
    await expect
      .poll(() => appliedAt(over(alone)), soon)
      .toBe(`0 of 1; ${address}: the replica ${address} does not answer`);
  });
});
