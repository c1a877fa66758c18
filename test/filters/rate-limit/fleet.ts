import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import {
  ReportRequestSchema,
  ReportResponseSchema,
} from "../../../control/gen/weir/v1/report_pb.ts";
import { type Budgets, createBudgets } from "../../../control/report/index.ts";
import { createSharedState, type SharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { compiled, requestHeaders } from "../module.ts";

/** One emulated proxy of a fleet. */
export interface FleetProxy {
  node: string;
  shared: SharedState;
  workers: Worker[];
  /** Whether its reports reach the control service. */
  connected: boolean;
}

/** Emulated proxies, the real budgets, and one clock for all. */
export interface FleetOf {
  proxies: FleetProxy[];
  budgets: Budgets;
  /** Requests offered and admitted since the fleet began, by proxy. */
  admitted: number[];
  offered: number[];
  /** Sends requests of acme at these rates per second to the proxies, for some seconds. */
  drive(rates: readonly number[], seconds: number): number;
  /** A control service that knows nothing takes over. */
  restartControl(): void;
}

export const fleetRate = 100;
export const fleetBurst = 100;

/** A fleet-wide limit of 100 requests a second for acme, for so many expected proxies. */
export function fleetConfig(expected: number) {
  return {
    revision: "r1",
    report: { cluster: "weir_control", authority: "127.0.0.1:8080", intervalMs: 1000 },
    routes: [
      {
        name: "inference/chat",
        hosts: ["chat.example.com"],
        rateLimit: {
          identity: [{ header: "x-tenant-id" }],
          tiers: {
            gold: { requestsPerSecond: fleetRate, burst: fleetBurst },
            bronze: { requestsPerSecond: 10, burst: 10 },
          },
          tenants: { acme: "gold" },
          default: "bronze",
          fleet: { proxies: expected },
        },
      },
    ],
  };
}

export function fleetOf(count: number, workers = 2, expected = count): FleetOf {
  const module = compiled("weir-full");
  let nowMs = 1_700_000_000_000;
  const limitOf = (route: string, tenant: string) =>
    route !== "inference/chat"
      ? undefined
      : tenant === "acme"
        ? fleetRate
        : tenant === ""
          ? 10
          : undefined;
  const makeBudgets = () => createBudgets(limitOf, { nowMs: () => nowMs });
  const gold = requestHeaders({ "x-tenant-id": "acme" });
  const proxies = Array.from({ length: count }, (_, i): FleetProxy => {
    const shared = createSharedState();
    const node = `proxy-${i}`;
    const started = Array.from({ length: workers }, () => startWorker(module, shared, node));
    for (const worker of started)
      if (!worker.configure(1, JSON.stringify(fleetConfig(expected))))
        throw new Error(shared.log.map(({ message }) => message).join());
    return { node, shared, workers: started, connected: true };
  });
  const fleet: FleetOf = {
    proxies,
    budgets: makeBudgets(),
    admitted: proxies.map(() => 0),
    offered: proxies.map(() => 0),
    restartControl: () => {
      fleet.budgets = makeBudgets();
    },
    drive(rates, seconds) {
      let passed = 0;
      const owed = rates.map(() => 0);
      let turn = 0;
      for (let ms = 0; ms < seconds * 1000; ms += 5) {
        nowMs += 5;
        proxies.forEach(({ shared, workers: own }, i) => {
          shared.nowNs = BigInt(nowMs) * 1_000_000n;
          for (
            owed[i] = (owed[i] ?? 0) + (rates[i] ?? 0) / 200;
            (owed[i] ?? 0) >= 1;
            owed[i] = (owed[i] ?? 0) - 1
          ) {
            fleet.offered[i] = (fleet.offered[i] ?? 0) + 1;
            if ((own[turn++ % own.length] as Worker).request(gold).action !== 0) continue;
            fleet.admitted[i] = (fleet.admitted[i] ?? 0) + 1;
            passed++;
          }
        });
        // Each proxy ticks at a moment of its own.
        proxies.forEach((proxy, i) => {
          if ((nowMs + i * 130) % 1000 === 0) tick(proxy, fleet.budgets);
        });
      }
      return passed;
    },
  };
  return fleet;
}

/** All workers' ticks, and the answer to the report that one of them posts. */
function tick({ workers, shared, connected }: FleetProxy, budgets: Budgets): void {
  for (const worker of workers) {
    shared.httpCalls.length = 0;
    worker.tick(1);
    const call = shared.httpCalls[0];
    if (call === undefined) continue;
    const report = fromJsonString(ReportRequestSchema, call.body);
    if (!connected) {
      worker.answerCall(1);
      continue;
    }
    const leases = budgets.report(report.node, report.needs);
    const body = toJsonString(ReportResponseSchema, create(ReportResponseSchema, { leases }));
    worker.answerCall(1, { status: 200, body });
  }
}
