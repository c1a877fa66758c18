// From the call that shifts weights to the moment the control service says that
// a local Envoy has acknowledged and runs them.

import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { findEnvoy, startEnvoy } from "#control/envoy/index.js";
import { RouteService } from "#control/gen/weir/v1/service_pb.js";
import { parseRoutes } from "#control/route/index.js";
import { startServer } from "#control/service/wiring/server.js";
import { bootstrap } from "#control/xds/index.js";
import { interval, median, show } from "./statistics.js";

const shifts = Number(process.env.BENCH_SHIFTS ?? 200);

/** @param {number} port */
const local = (port) => ({ host: "127.0.0.1", port });

export async function run() {
  const admin = local(21_201);
  const server = await startServer({
    listen: local(0),
    xds: local(0),
    gateway: local(21_200),
    store: "memory",
    wasm: "build/weir.wasm",
    log: console.log,
  });
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: bootstrap({ node: "bench", xds: server.xds, admin }),
    admin,
    concurrency: 2,
  });
  try {
    const routes = createClient(
      RouteService,
      createConnectTransport({
        baseUrl: `http://127.0.0.1:${server.listen.port}`,
        httpVersion: "1.1",
      }),
    );
    const [route] = parseRoutes(readFileSync("examples/canary/route.yaml", "utf8")).routes;
    await routes.applyRoute({ route });
    await applied(routes);
    const tookMs = [];
    for (let i = 0; i < shifts; i++) {
      const start = performance.now();
      await routes.shiftWeights({ name: "chat", weights: { canary: i % 2 ? 10 : 30 } });
      await applied(routes);
      tookMs.push(performance.now() - start);
    }
    console.log(`ms from the shift to applied on 1 of 1, over ${shifts} shifts`);
    console.log(
      `  median ${show(interval(tookMs, median))}, slowest ${Math.max(...tookMs).toFixed(1)}`,
    );
  } finally {
    await envoy.stop();
    await server.close();
  }
}

/** @param {import("@connectrpc/connect").Client<typeof RouteService>} routes */
async function applied(routes) {
  for (;;) {
    const { applied } = await routes.getRoute({ name: "chat" });
    if (applied && applied.wanted > 0 && applied.applied === applied.wanted) return;
    await turn();
  }
}
