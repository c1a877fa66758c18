import { fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ReportRequestSchema } from "../../../control/gen/weir/v1/report_pb.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, requestHeaders } from "../module.ts";
import { fleetBurst, fleetConfig, fleetOf, fleetRate } from "./fleet.ts";

const away = (fleet: ReturnType<typeof fleetOf>, proxy = 0) =>
  [...(fleet.proxies[proxy]?.shared.metrics.values() ?? [])].find(
    ({ name }) => name === "weir_fleet_control_away",
  )?.value;

describe("a fleet-wide limit", () => {
  it.each([
    ["an even load", [75, 75, 75, 75]],
    ["97 % on one proxy", [291, 3, 3, 3]],
    ["everything on one", [300, 0, 0, 0]],
    ["two busy, two idle", [150, 150, 0, 0]],
  ])("is met by all proxies together, %s", (_name, rates) => {
    const fleet = fleetOf(4);
    fleet.drive(rates, 6);
    const seconds = 30;
    const admitted = fleet.drive(rates, seconds);
    expect(admitted).toBeLessThanOrEqual(fleetRate * seconds * 1.005 + fleetBurst / 8);
    expect(admitted).toBeGreaterThanOrEqual(fleetRate * seconds * 0.97);
  });

  it("holds from the first second on: rate x time + burst, and the parts proxies start with", () => {
    const fleet = fleetOf(4);
    let total = 0;
    for (let second = 1; second <= 20; second++) {
      total += fleet.drive([200, 200, 200, 200], 1);
      expect(total, `after ${second} s`).toBeLessThanOrEqual(fleetRate * second + fleetBurst + 4);
    }
  });

  it("refuses no one while all need less than it, wherever they come in", () => {
    const fleet = fleetOf(4);
    fleet.drive([60, 1, 1, 1], 5);
    const before = fleet.offered.reduce((a, b) => a + b, 0);
    const admitted = fleet.drive([60, 10, 5, 1], 10);
    expect(admitted).toBe(fleet.offered.reduce((a, b) => a + b, 0) - before);
  });

  it("follows the load from proxy to proxy, and no token is made by moving it", () => {
    const fleet = fleetOf(2);
    fleet.drive([300, 0], 10);
    let admitted = 0;
    const rounds = 6;
    for (let i = 0; i < rounds; i++) admitted += fleet.drive(i % 2 ? [300, 5] : [5, 300], 15);
    const limit = fleetRate * rounds * 15;
    expect(admitted).toBeLessThanOrEqual(limit * 1.01 + fleetBurst);
    expect(admitted).toBeGreaterThanOrEqual(limit * 0.75);
  });

  it("gives a new proxy its part within two seconds, out of the others'", () => {
    const fleet = fleetOf(3);
    fleet.drive([300, 300, 0], 10);
    fleet.drive([300, 300, 300], 4);
    const before = fleet.admitted[2] ?? 0;
    fleet.drive([300, 300, 300], 10);
    expect((fleet.admitted[2] ?? 0) - before).toBeGreaterThan((fleetRate / 3) * 10 * 0.9);
  });
});

describe("without the control service", () => {
  it("the last shares go on, and the state says so", () => {
    const fleet = fleetOf(2);
    fleet.drive([150, 50], 10);
    for (const proxy of fleet.proxies) proxy.connected = false;
    const seconds = 30;
    const admitted = fleet.drive([150, 50], seconds);
    expect(admitted).toBeLessThanOrEqual(fleetRate * seconds * 1.01);
    expect(admitted).toBeGreaterThanOrEqual(fleetRate * seconds * 0.95);
    expect(away(fleet)).toBe(1n);
    const said = () => fleet.proxies[0]?.shared.log.map(({ message }) => message) ?? [];
    expect(said()).toEqual([
      "weir fleet limits: the control service does not answer: the last shares go on",
    ]);
    for (const proxy of fleet.proxies) proxy.connected = true;
    fleet.drive([150, 50], 3);
    expect(away(fleet)).toBe(0n);
    expect(said()).toHaveLength(2);
  });

  it("from the beginning each proxy has the part it starts with, and no more", () => {
    const fleet = fleetOf(2, 2, 10);
    for (const proxy of fleet.proxies) proxy.connected = false;
    const admitted = fleet.drive([100, 100], 20);
    const part = fleetRate / 10;
    expect(admitted).toBeLessThanOrEqual(2 * (part * 20 + fleetBurst / 10 + 1));
    expect(admitted).toBeGreaterThanOrEqual(2 * part * 20 * 0.95);
  });

  it("that comes back knowing nothing no more than the limit is given out", () => {
    const fleet = fleetOf(3);
    fleet.drive([200, 100, 10], 10);
    fleet.restartControl();
    const seconds = 10;
    const admitted = fleet.drive([200, 100, 10], seconds);
    expect(admitted).toBeLessThanOrEqual(fleetRate * seconds * 1.01 + fleetBurst / 8);
    expect(admitted).toBeGreaterThanOrEqual(fleetRate * seconds * 0.95);
  });
});

describe("what a proxy reports it needs", () => {
  const posted = ({ shared }: ReturnType<typeof configuredProxy>) =>
    fromJsonString(ReportRequestSchema, shared.httpCalls.at(-1)?.body ?? "");

  it("is the requests of all its workers, by tenant, strangers together", () => {
    const proxy = configuredProxy("weir-full", fleetConfig(4), 3);
    for (const worker of proxy.workers)
      for (let i = 0; i < 50; i++) {
        worker.request(requestHeaders({ "x-tenant-id": "acme" }));
        worker.request(requestHeaders({ "x-tenant-id": `stranger-${i}` }));
      }
    for (const worker of proxy.workers) worker.tick(1);
    proxy.shared.nowNs += 1_000_000_000n;
    for (const worker of proxy.workers) worker.tick(1);
    const calls = proxy.shared.httpCalls.map(({ body }) =>
      fromJsonString(ReportRequestSchema, body),
    );
    const sum = (tenant: string) =>
      calls
        .flatMap(({ needs }) => needs)
        .filter((need) => need.tenant === tenant)
        .reduce((total, { wanted }) => total + Number(wanted), 0);
    expect(sum("acme")).toBe(150);
    expect(sum("")).toBe(150);
    expect(calls.every(({ needs }) => needs.every(({ route }) => route === "inference/chat"))).toBe(
      true,
    );
  });

  it("is told on though the worker that reports falls silent, its shares too", () => {
    const proxy = configuredProxy("weir-full", fleetConfig(4), 2);
    const [first, second] = proxy.workers as [Worker, Worker];
    first.request(requestHeaders({ "x-tenant-id": "acme" }));
    first.tick(1);
    first.answerCall(1, {
      status: 200,
      body: JSON.stringify({
        leases: [{ route: "inference/chat", tenant: "acme", intervalNs: "20000000" }],
      }),
    });
    proxy.shared.nowNs += 4_000_000_000n;
    second.tick(1);
    expect(posted(proxy).needs).toMatchObject([
      { route: "inference/chat", tenant: "acme", wanted: 0n, intervalNs: 20_000_000n },
    ]);
  });

  it("ends with a minute without a request, and then the share is gone", () => {
    const proxy = configuredProxy("weir-full", fleetConfig(4));
    const worker = proxy.workers[0] as Worker;
    worker.request(requestHeaders({ "x-tenant-id": "acme" }));
    const counts = Array.from({ length: 70 }, () => {
      proxy.shared.nowNs += 1_000_000_000n;
      worker.tick(1);
      return posted(proxy).needs.length;
    });
    expect(counts.slice(0, 55).every((count) => count === 1)).toBe(true);
    expect(counts.at(-1)).toBe(0);
  });

  it("keeps names as they are, whatever is in them", () => {
    const config = fleetConfig(4) as any;
    const name = 'a "quoted" \\ name \u00e9\u{1f600}';
    config.routes[0].rateLimit.tenants[name] = "gold";
    const proxy = configuredProxy("weir-full", config);
    const worker = proxy.workers[0] as Worker;
    // Envoy hands over bytes.
    worker.request(requestHeaders({ "x-tenant-id": Buffer.from(name).toString("latin1") }));
    worker.tick(1);
    const body = Buffer.from(proxy.shared.httpCalls[0]?.body ?? "", "latin1").toString("utf8");
    const report = fromJsonString(ReportRequestSchema, body);
    expect(report.needs.map(({ tenant }) => tenant)).toEqual([name]);
  });
});

describe("an answer of the control service", () => {
  const fleetProxy = () => {
    const proxy = configuredProxy("weir-full", fleetConfig(10));
    return { proxy, worker: proxy.workers[0] as Worker };
  };
  const admitted = (worker: Worker, count: number) =>
    Array.from({ length: count }, () =>
      worker.request(requestHeaders({ "x-tenant-id": "acme" })),
    ).filter(({ action }) => action === 0).length;

  it.each([
    ["that failed", undefined],
    ["that refuses", { status: 401, body: '{"code":"unauthenticated"}' }],
    ["without leases", { status: 200, body: "{}" }],
    ["for another route", { status: 200, body: '{"leases":[{"route":"x","intervalNs":"1"}]}' }],
    ["that is no JSON", { status: 200, body: '{"leases":[{"route":' }],
    [
      "of the wrong kinds",
      { status: 200, body: '{"leases":[{"route":1,"intervalNs":{}}],"x":[]}' },
    ],
    ["that is empty", { status: 200, body: "" }],
  ])("%s changes nothing", (_name, answer) => {
    const { proxy, worker } = fleetProxy();
    worker.tick(1);
    worker.answerCall(1, answer);
    // A tenth of the burst, the part a proxy starts with.
    expect(admitted(worker, 50)).toBe(10);
    proxy.shared.nowNs += 1_000_000_000n;
    expect(admitted(worker, 50)).toBe(10);
  });

  it("never gives a proxy more than the whole limit", () => {
    const { proxy, worker } = fleetProxy();
    worker.request(requestHeaders({ "x-tenant-id": "acme" }));
    worker.tick(1);
    const lease = { route: "inference/chat", tenant: "acme", intervalNs: "1" };
    worker.answerCall(1, { status: 200, body: JSON.stringify({ leases: [lease] }) });
    let sum = 0;
    for (let i = 0; i < 100; i++) {
      proxy.shared.nowNs += 100_000_000n;
      sum += admitted(worker, 50);
    }
    expect(sum).toBeLessThanOrEqual(fleetRate * 10 + fleetBurst);
    expect(sum).toBeGreaterThan(fleetRate * 10 * 0.9);
  });

  it("is soon known to workers that were refusing", () => {
    const proxy = configuredProxy("weir-full", fleetConfig(10), 2);
    const [first, second] = proxy.workers as [Worker, Worker];
    admitted(second, 50);
    first.tick(1);
    const lease = { route: "inference/chat", tenant: "acme", intervalNs: "10000000" };
    first.answerCall(1, { status: 200, body: JSON.stringify({ leases: [lease] }) });
    proxy.shared.nowNs += 500_000_000n;
    expect(admitted(second, 100)).toBeGreaterThan(40);
  });
});
