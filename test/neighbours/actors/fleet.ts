import type { FairClock } from "../fair-clock.ts";
import type { createIsolation } from "../invariants/isolation.ts";
import type { Seen } from "../invariants/newest-state.ts";
import type { States } from "../states.ts";
import { type EmulatedProxy, type Manners, type ProxyEvents, startEmulatedProxy } from "./proxy.ts";

/** More are never there at once, whatever is asked for. */
export const maxProxies = 200;

export interface FleetOptions {
  xdsPort: number;
  tokenOf(scope: string): string;
  clock: FairClock;
  states: States;
  isolation: ReturnType<typeof createIsolation>;
}

/** All emulated proxies, and what they did. */
export function createEmulatedFleet(options: FleetOptions) {
  const { xdsPort, tokenOf, clock, states, isolation } = options;
  const proxies = new Set<EmulatedProxy>();
  const healthy = new Set<EmulatedProxy>();
  const refusers = new Set<string>();
  const counts = { connects: 0, refusals: 0, responses: 0 };
  /** How long after an acknowledged write a healthy proxy ran it. */
  const lagsMs: number[] = [];
  let reportToken: string | undefined;
  let away = false;

  const events: ProxyEvents = {
    connected: () => void counts.connects++,
    lost: () => {},
    received(proxy, type, resources, names) {
      counts.responses++;
      for (const [i, { value }] of resources.entries()) {
        const what = `${type} ${names[i] ?? ""}`.trim();
        isolation.saw(proxy.node, proxy.scope, what, value);
        if (type === "CDS" && proxy.scope.includes("rude-c")) findReportToken(value);
      }
    },
    refused(proxy) {
      counts.refusals++;
      for (const namespace of proxy.scope) refusers.add(namespace);
    },
    runs(proxy, prints, before) {
      if (!healthy.has(proxy)) return;
      for (const [route, print] of prints) {
        if (before.get(route) === print) continue;
        const state = states.find(route, print);
        if (state === undefined || state !== states.latest(route)) continue;
        const from = Math.max(state.knownMs, proxy.connectedMs ?? 0);
        lagsMs.push(clock.ms() - from);
      }
    },
  };

  /** What a careless owner of a proxy of one rude team may do with what stands in its configuration. */
  function findReportToken(bytes: Uint8Array): void {
    reportToken ??= /weir-report\.[\w.-]+/.exec(Buffer.from(bytes).toString("latin1"))?.[0];
  }

  function start(node: string, scope: readonly string[], manners: Manners, token?: string) {
    if (proxies.size >= maxProxies) return undefined;
    const proxy = startEmulatedProxy({
      port: xdsPort,
      node,
      scope,
      token: token ?? tokenOf(scope[0] ?? ""),
      manners,
      events,
      nowMs: clock.ms,
      isAway: () => away,
    });
    proxies.add(proxy);
    return proxy;
  }

  return {
    counts,
    lagsMs,
    refused: (namespace: string) => refusers.has(namespace),
    reportToken: () => reportToken,
    /** A proxy that does all as it should, and is held to what it should get. */
    startHealthy(node: string, scope: readonly string[], manners: Manners): void {
      const proxy = start(node, scope, manners);
      if (proxy) healthy.add(proxy);
    },
    /** One that misbehaves; undefined when there are too many already. */
    start,
    remove(proxy: EmulatedProxy | undefined): void {
      if (proxy === undefined) return;
      proxy.close();
      proxies.delete(proxy);
      healthy.delete(proxy);
    },
    healthy: (): readonly EmulatedProxy[] => [...healthy],
    size: () => proxies.size,
    /** Takes all proxies away at once, and lets them come back. */
    keepAway(now: boolean): void {
      away = now;
      if (away) for (const proxy of proxies) proxy.cut();
    },
    /** Healthy ones as the invariant compares them. @param checked routes that nothing may hold */
    seen(checked: readonly string[]): Seen[] {
      return [...healthy].map((proxy) => ({
        node: proxy.node,
        connectedMs: proxy.connectedMs,
        routes: checked.filter((route) => isIn(proxy.scope, route)),
        runs: (route) => proxy.runs.get(route),
      }));
    },
    close(): void {
      for (const proxy of proxies) proxy.close();
      proxies.clear();
      healthy.clear();
    },
  };
}

export type EmulatedFleet = ReturnType<typeof createEmulatedFleet>;

function isIn(scope: readonly string[], route: string): boolean {
  return scope.includes("*") || scope.includes(route.split("/", 1)[0] ?? "");
}
