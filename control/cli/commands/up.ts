import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { findEnvoy, startEnvoy } from "../../envoy/index.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { startPod } from "../../pods/index.ts";
import { routeName } from "../../route/index.ts";
import { bootstrap } from "../../xds/bootstrap.ts";
import type { Address } from "../../xds/index.ts";
import { addressesOption, addressOption, parseAddress, showAddress } from "../address.ts";
import { type Clients, withServer } from "../client.ts";
import { FailedError } from "../exit.ts";
import { allowedHost } from "../flags.ts";
import { readRoutes } from "../input.ts";
import { print } from "../output.ts";
import { packagedFile } from "../package-files.ts";
import { untilStopped } from "../signals.ts";
import { tryLines } from "../try-lines.ts";
import { waitApplied } from "../wait.ts";

interface UpFlags {
  listen: Address;
  xds: Address;
  gateway: Address;
  admin: Address;
  /** False: what listens at the endpoints of the route is not ours. */
  pods?: Address[] | false;
  store?: string;
  route: string;
  wasm: string;
  concurrency: number;
  allowedHost?: string[];
}

export function addUp(program: Command): void {
  program
    .command("up")
    .summary("run everything on this machine to try Weir")
    .description(
      "Runs a control service with its page, a real Envoy with the filters, and a fake inference pod per variant. Ctrl-C stops everything and removes temporary files.",
    )
    .addOption(addressOption("listen", "address of API and page", 8080))
    .addOption(addressOption("xds", "address of the xDS server", 18000))
    .addOption(addressOption("gateway", "address where Envoy listens for clients", 10000))
    .addOption(addressOption("admin", "address of Envoy's admin interface", 9901))
    .addOption(
      addressesOption(
        "pods",
        "addresses of the fake pods, one per variant (default: the endpoints in the routes)",
      ),
    )
    .option(
      "--no-pods",
      "start no fake pods; your own servers listen at the endpoints in the routes",
    )
    .option("--store <store>", "memory or lmdb:DIRECTORY (default: a temporary directory)")
    .addOption(
      packagedFile(
        "route",
        "file with the routes to start with",
        "examples/quick-start/route.yaml",
      ),
    )
    .addOption(packagedFile("wasm", "path of weir.wasm", "build/weir.wasm"))
    .option(...allowedHost)
    .option("--concurrency <workers>", "Envoy's worker threads", parseWorkers, 2)
    .addHelpText(
      "after",
      "\nExamples:\n  weir up\n  weir up --route route.yaml --no-pods\n  weir up --listen 127.0.0.1:8081 --gateway 127.0.0.1:10001 --pods 127.0.0.1:9101,127.0.0.1:9102",
    )
    .action((flags: UpFlags) => up(flags));
}

/** Pods that register may be on this machine. */
const everywhere = [
  { net: "127.0.0.0", bits: 8 },
  { net: "::1", bits: 128 },
  { net: "0.0.0.0", bits: 0 },
  { net: "::", bits: 0 },
];

/** Things to undo, newest first. */
type Undo = () => unknown;

async function up(flags: UpFlags): Promise<void> {
  const undo: Undo[] = [];
  const stopped = untilStopped();
  try {
    const { ended } = await start(flags, undo);
    const reason = await Promise.race([stopped, ended]);
    if (reason) throw new FailedError(reason);
    print("stopping ...");
  } finally {
    for (const each of undo.reverse()) await each();
  }
}

/** Starts all parts; `ended` resolves with a reason when one of them ends by itself. */
async function start(flags: UpFlags, undo: Undo[]): Promise<{ ended: Promise<string> }> {
  const routes = readRoutes([flags.route]);
  const [route] = routes;
  if (route === undefined) throw new FailedError(`${flags.route} has no route`);
  const binary = await findEnvoy((line) => print(line));
  const pods = flags.pods === false ? [] : placePods(routes, flags.pods ?? []);
  for (const { name, host, port } of pods) {
    const pod = await startPod(name, host, port).catch((error: Error) => {
      throw new FailedError(
        `cannot start the pod ${name} on ${host}:${port}: ${error.message}; choose others with --pods, or --no-pods if your own server listens there`,
      );
    });
    undo.push(() => pod.close());
  }
  const { startServer } = await import("../../service/index.ts");
  const server = await startServer({
    ...flags,
    store: flags.store ?? temporaryStore(undo),
    ...(flags.allowedHost ? { allowedHosts: flags.allowedHost } : {}),
    // They are its own, or its user's.
    podMetrics: true,
    endpointRanges: everywhere,
    log: (line) => print(line),
  });
  undo.push(() => server.close());
  const envoy = await startEnvoy({
    binary,
    bootstrap: bootstrap({ node: "weir-up", xds: server.xds, admin: flags.admin }),
    admin: flags.admin,
    concurrency: flags.concurrency,
  });
  undo.push(() => envoy.stop());
  await withServer({ server: showAddress(server.listen) }, async (clients) => {
    for (const each of routes) {
      const { etag, name } = await keepOrApply(clients, each);
      await waitApplied(clients, name, etag, 30_000);
    }
  });
  await untilServed(flags.gateway, route.spec?.hosts[0] ?? "");
  print(tryLines({ page: server.listen, gateway: flags.gateway, route, server: server.listen }));
  print("ready");
  return { ended: envoy.ended };
}

/** What a store brought along is kept: a demonstration must not undo someone's shift. */
async function keepOrApply(
  clients: Clients,
  route: InferenceRoute,
): Promise<{ name: string; etag: string }> {
  const name = routeName(route);
  const { routes } = await clients.routes.listRoutes({});
  const kept = routes.find(({ state }) => state?.route?.metadata?.name === route.metadata?.name);
  if (kept?.state) return { name, etag: kept.state.etag };
  const { state } = await clients.routes.applyRoute({ route, reason: "weir up" });
  return { name, etag: state?.etag ?? "" };
}

/** One pod per variant, on the endpoints of the routes or on those of the flag, which then replace them. */
function placePods(
  routes: readonly InferenceRoute[],
  places: readonly Address[],
): (Address & { name: string })[] {
  const variants = routes.flatMap(({ spec }) => spec?.variants ?? []);
  if (places.length > 0 && places.length !== variants.length)
    throw new FailedError(
      `--pods has ${places.length} addresses, but the ${routes.length === 1 ? "route has" : "routes have"} ${variants.length} variants`,
    );
  return variants.map((variant, i) => {
    const [endpoint] = variant.endpoints;
    if (places.length === 0 && endpoint === undefined)
      throw new FailedError(
        `variant ${variant.name} has no endpoints: give addresses with --pods, or --no-pods where its pods register themselves`,
      );
    const place = places[i] ?? parseAddress(endpoint ?? "");
    variant.endpoints = [showAddress(place)];
    return { ...place, name: variant.name };
  });
}

function temporaryStore(undo: Undo[]): string {
  const directory = mkdtempSync(join(tmpdir(), "weir-up-"));
  undo.push(() => rmSync(directory, { recursive: true, force: true }));
  return `lmdb:${directory}`;
}

/** Envoy opens its listener once everything in it has arrived. */
async function untilServed({ host, port }: Address, authority: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const status = await fetch(`http://${host}:${port}/v1/models`, {
      headers: { host: authority },
    }).then(
      (response) => response.status,
      () => 0,
    );
    if (status !== 0) return;
    await sleep(50);
  }
  throw new FailedError(`envoy does not listen on ${host}:${port}; choose another with --gateway`);
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (!Number.isInteger(workers) || workers < 1 || workers > 64)
    throw new InvalidArgumentError("give a whole number from 1 to 64.");
  return workers;
}
