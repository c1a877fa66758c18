// What rendering costs: 10,000 routes against JSON.stringify of the same
// objects, half of them against all of them, and one changed weight.

import { create } from "@bufbuild/protobuf";
import { RouteStateSchema } from "#control/gen/weir/v1/service_pb.js";
import { renderIstio, toYaml } from "#control/istio/index.js";
import { draftRoute, parseRoute } from "#control/route/index.js";
import { interval, median, show } from "./statistics.js";

const routes = Number(process.env.BENCH_ROUTES ?? 10_000);
const rounds = Number(process.env.BENCH_ROUNDS ?? 9);
/** Routes that one gateway serves: their filters are told by one object. */
const perGateway = 20;

/** @param {number} index @param {number} canary */
function stateOf(index, canary = 10) {
  const parsed = parseRoute({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: `route-${index}`, namespace: "inference" },
    spec: {
      hosts: [`route-${index}.example.com`],
      gateways: ["istio-system/public"],
      attach: {
        selector: { gateway: `gateway-${Math.floor(index / perGateway)}` },
        namespace: "istio-system",
      },
      service: { name: `llm-${index}`, port: 8000 },
      variants: [
        { name: "stable", weight: 100 - canary, labels: { version: "v1" } },
        { name: "canary", weight: canary, labels: { version: "v2" } },
      ],
      canary: { stickyBy: [{ header: "x-user-id" }] },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { gold: { requestsPerSecond: 100, burst: 200 }, bronze: { requestsPerSecond: 5 } },
        tenants: { acme: "gold" },
        default: "bronze",
      },
      resilience: { timeout: "600s", outlier: { consecutiveErrors: 3 } },
    },
  });
  const [route] = parsed.routes;
  if (!route) throw new Error(JSON.stringify(parsed.problems));
  // Laying out 10,000 buckets is a matter of storing, not of rendering: once per weight.
  const buckets = laidOut.get(canary) ?? draftRoute(route, undefined).buckets;
  laidOut.set(canary, buckets);
  return create(RouteStateSchema, { route, buckets });
}

/** @type {Map<number, ReturnType<typeof draftRoute>["buckets"]>} */
const laidOut = new Map();

/**
 * Milliseconds of CPU: other programs on the machine take time, but not ours.
 * @param {() => unknown} work
 */
function timed(work) {
  const start = process.cpuUsage();
  work();
  const { system, user } = process.cpuUsage(start);
  return (system + user) / 1000;
}

export async function run() {
  const states = Array.from({ length: routes }, (_, index) => stateOf(index));
  const half = states.slice(0, routes / 2);
  const { manifests } = renderIstio(states);
  const objects = manifests.map(({ object }) => object);
  /** @type {{render: number, half: number, stringify: number}[]} */
  const taken = [];
  for (let round = 0; round < rounds; round++)
    taken.push({
      render: timed(() => toYaml(renderIstio(states).manifests)),
      half: timed(() => toYaml(renderIstio(half).manifests)),
      stringify: timed(() => JSON.stringify(objects)),
    });
  const of = (/** @type {(round: typeof taken[number]) => number} */ pick) =>
    interval(taken, (drawn) => median(drawn.map(pick)));
  console.log(`${routes} routes, ${objects.length} objects, ${rounds} rounds`);
  console.log(
    `  ms of CPU to render them to YAML: ${show(
      of(({ render }) => render),
      0,
    )}`,
  );
  console.log(
    `  times JSON.stringify of the objects: ${show(of(({ render, stringify }) => render / stringify))} (at most 6)`,
  );
  console.log(
    `  times what half of them cost: ${show(of(({ half, render }) => render / half))} (2 is linear)`,
  );

  const shifted = stateOf(0, 30);
  const siblings = states.slice(1, perGateway);
  const alone = Array.from({ length: 200 }, () =>
    timed(() => toYaml(renderIstio([shifted]).manifests)),
  );
  const shared = Array.from({ length: 200 }, () =>
    timed(() => toYaml(renderIstio([shifted, ...siblings]).manifests)),
  );
  console.log(`ms of CPU for one changed weight`);
  console.log(`  of a route alone: ${show(interval(alone, median))} (under 1)`);
  console.log(
    `  with the ${siblings.length} others of its gateway: ${show(interval(shared, median))}`,
  );
}
