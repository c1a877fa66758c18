import { parse, stringify } from "yaml";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import type { ServerOptions } from "../../control/service/wiring/options.ts";
import { startServer } from "../../control/service/wiring/server.ts";
import { type BootstrapOptions, bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";
import { weir } from "./weir-up.ts";

const local = (port: number) => ({ host: "127.0.0.1", port });

/** A control service and a real Envoy of two workers that runs what it says. */
export interface Gateway {
  url: string;
  /** Of the control service. */
  server: string;
  admin: string;
  envoy: Envoy;
  /** Stores routes and waits until the proxy runs the last of them, and so all. */
  apply(...routes: unknown[]): Promise<void>;
  /** Runs a weir command against the control service; its output. */
  weir(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** What a test wants of its gateway beyond the defaults. */
export interface GatewayOptions
  extends Pick<ServerOptions, "edge" | "endpointRanges" | "podMetrics"> {
  /** Where clients reach it. */
  host?: string;
  limits?: BootstrapOptions["limits"];
  /** weir.wasm, the other modules beside it. */
  wasm?: string;
  /** Asks for changes alone. */
  delta?: boolean;
  log?: ServerOptions["log"];
  /** Port of the DNS server that Envoy asks. */
  nameServer?: number;
}

export async function startGateway({
  delta = false,
  edge,
  endpointRanges,
  host = "127.0.0.1",
  limits,
  log = () => {},
  nameServer,
  podMetrics,
  wasm = "build/weir.wasm",
}: GatewayOptions = {}): Promise<Gateway> {
  const [listen = 0, xds = 0, gateway = 0, admin = 0] = await freePorts(4);
  const server = await startServer({
    listen: local(listen),
    xds: local(xds),
    gateway: { host, port: gateway },
    ...(edge ? { edge } : {}),
    ...(endpointRanges ? { endpointRanges } : {}),
    ...(podMetrics === undefined ? {} : { podMetrics }),
    store: "memory",
    wasm,
    log,
  });
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: asking(
      nameServer,
      bootstrap({
        node: "policies",
        xds: server.xds,
        admin: local(admin),
        delta,
        ...(limits ? { limits } : {}),
      }),
    ),
    admin: local(admin),
    concurrency: 2,
  });
  const command = async (args: string[], input?: string) => {
    const { code, stdout, stderr } = await weir(
      [...args, "--server", `127.0.0.1:${listen}`],
      input,
    );
    if (code !== 0) throw new Error(`weir ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${gateway}`,
    server: `http://127.0.0.1:${listen}`,
    admin: `http://127.0.0.1:${admin}`,
    envoy,
    async apply(...routes) {
      const { name, namespace } = (
        routes.at(-1) as { metadata: { name: string; namespace: string } }
      ).metadata;
      await command(["apply", "-f", "-"], routes.map((route) => stringify(route)).join("---\n"));
      const deadline = Date.now() + 30_000;
      while (!(await command(["status", `${namespace}/${name}`])).includes("applied on 1 of 1"))
        if (Date.now() > deadline) throw new Error(`not applied within 30 s: ${name}`);
    },
    weir: (...args) => command(args),
    async stop() {
      await envoy.stop();
      await server.close();
    },
  };
}

/** A bootstrap with a DNS server of its own, instead of those of this machine. */
function asking(nameServer: number | undefined, bootstrap: string): string {
  if (nameServer === undefined) return bootstrap;
  return stringify({
    ...parse(bootstrap),
    typed_dns_resolver_config: {
      name: "envoy.network.dns_resolver.cares",
      typed_config: {
        "@type":
          "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        resolvers: [{ socket_address: { address: "127.0.0.1", port_value: nameServer } }],
        dns_resolver_options: { no_default_search_domain: true },
      },
    },
  });
}

/** A real Envoy with a fixed configuration: one listener with these filters before the router. */
export async function startPlainEnvoy(
  filters: object[],
  route: object,
  clusters: Record<string, string>,
  concurrency = 1,
): Promise<{ url: string; admin: string; envoy: Envoy }> {
  const [port = 0, admin = 0] = await freePorts(2);
  const type = "type.googleapis.com/envoy.extensions.filters";
  const address = (value: number | string) => {
    const [host, of] = typeof value === "number" ? ["127.0.0.1", value] : value.split(":");
    return { socket_address: { address: host, port_value: Number(of) } };
  };
  const manager = {
    "@type": `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "plain",
    route_config: {
      virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route }] }],
    },
    http_filters: [
      ...filters,
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": `${type}.http.router.v3.Router` },
      },
    ],
  };
  const config = {
    node: { id: "plain", cluster: "plain" },
    admin: { address: address(admin) },
    // How long each turn of a worker's event loop took.
    enable_dispatcher_stats: true,
    stats_flush_on_admin: true,
    static_resources: {
      listeners: [
        {
          address: address(port),
          filter_chains: [
            {
              filters: [
                {
                  name: "envoy.filters.network.http_connection_manager",
                  typed_config: manager,
                },
              ],
            },
          ],
        },
      ],
      clusters: Object.entries(clusters).map(([name, endpoint]) => ({
        name,
        type: "STATIC",
        load_assignment: {
          cluster_name: name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(endpoint) } }] }],
        },
      })),
    },
  };
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: JSON.stringify(config),
    admin: local(admin),
    concurrency,
  });
  return { url: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${admin}`, envoy };
}
