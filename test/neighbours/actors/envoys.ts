import { type Envoy, findEnvoy, startEnvoy } from "../../../control/envoy/index.ts";
import { bootstrap } from "../../../control/xds/index.ts";
import { freePorts } from "../../free-ports.ts";
import type { Seen } from "../invariants/newest-state.ts";
import { tokens } from "../namespaces.ts";
import { type ConfigText, printsOf } from "./reading.ts";

/** A real Envoy that serves the suite's traffic. */
export interface RealEnvoy {
  node: string;
  seen(checked: readonly string[]): Seen;
  /** Requests that it answered since it started. */
  served(): Promise<number>;
  /** Ends as for an upgrade, comes back, and serves again. */
  restart(): Promise<void>;
  /** Resolves once it takes requests; later than that it is taken not to. */
  serves(): Promise<void>;
  isRestarting(): boolean;
  log(): string;
  stop(): Promise<void>;
}

const lookMs = 500;
const drainMs = 1_500;
const servesWithinMs = 60_000;
const local = (port: number) => ({ host: "127.0.0.1", port });

/** Starts one whose requests to the control service go by that port. */
export async function startRealEnvoy(
  node: string,
  xdsPort: number,
  nowMs: () => number,
): Promise<RealEnvoy> {
  const [admin = 0] = await freePorts(1);
  const binary = await findEnvoy(() => {});
  const start = () =>
    startEnvoy({
      binary,
      bootstrap: bootstrap({ node, xds: local(xdsPort), admin: local(admin), token: tokens.edge }),
      admin: local(admin),
      concurrency: 1,
    });
  let envoy: Envoy = await start();
  let restarting = false;
  let connectedMs: number | undefined;
  let atMs = 0;
  let runs: ReadonlyMap<string, string> = new Map();
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${admin}${path}`, {
      signal: AbortSignal.timeout(5_000),
    });
    return answer.text();
  };

  async function look(): Promise<void> {
    const stats = await ask("/stats?filter=control_plane.connected_state");
    if (restarting || !/connected_state: 1/.test(stats)) connectedMs = undefined;
    else connectedMs ??= nowMs();
    const askedMs = nowMs();
    runs = runningIn(await ask("/config_dump?resource=ecds_filters")) ?? runs;
    // Its answer says nothing about what came since.
    atMs = askedMs;
  }

  async function serves(): Promise<void> {
    const deadline = performance.now() + servesWithinMs;
    while (!(await ask("/listeners").catch(() => "")).includes("weir::")) {
      if (performance.now() > deadline) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  let over = false;
  const looking = (async () => {
    while (!over) {
      await look().catch(() => {
        connectedMs = undefined;
      });
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  })();

  return {
    node,
    seen: (checked) => ({
      node,
      connectedMs,
      atMs,
      routes: checked,
      runs: (route) => runs.get(route),
    }),
    async served() {
      const stats = await ask("/stats?filter=downstream_rq_2xx");
      return [...stats.matchAll(/http\.(?!admin)[^:\n]*downstream_rq_2xx: (\d+)/g)].reduce(
        (sum, [, count]) => sum + Number(count),
        0,
      );
    },
    async restart() {
      restarting = true;
      connectedMs = undefined;
      await fetch(`http://127.0.0.1:${admin}/drain_listeners`, { method: "POST" }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, drainMs));
      await envoy.stop();
      envoy = await start();
      await serves();
      restarting = false;
    },
    serves,
    isRestarting: () => restarting,
    log: () => envoy.log(),
    async stop() {
      over = true;
      await looking;
      await envoy.stop();
    },
  };
}

/** What of the routes a dump of the configuration shows to be running. */
export function runningIn(dump: string): ReadonlyMap<string, string> | undefined {
  const { configs = [] } = JSON.parse(dump) as { configs?: Dumped[] };
  for (const { ecds_filter } of configs) {
    const text = ecds_filter?.typed_config?.config?.configuration?.value;
    const prints = text && printsOf(JSON.parse(text) as ConfigText);
    if (prints) return prints;
  }
  return undefined;
}

interface Dumped {
  ecds_filter?: { typed_config?: { config?: { configuration?: { value?: string } } } };
}
