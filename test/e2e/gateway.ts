import { stringify } from "yaml";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { startServer } from "../../control/server.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";
import { weir } from "./weir-up.ts";

const local = (port: number) => ({ host: "127.0.0.1", port });

/** A control service and a real Envoy of two workers that runs what it says. */
export interface Gateway {
  url: string;
  admin: string;
  envoy: Envoy;
  /** Stores a route and waits until the proxy runs it. */
  apply(route: unknown): Promise<void>;
  /** Runs a weir command against the control service; its output. */
  weir(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

export async function startGateway(): Promise<Gateway> {
  const [listen = 0, xds = 0, gateway = 0, admin = 0] = await freePorts(4);
  const server = await startServer({
    listen: local(listen),
    xds: local(xds),
    gateway: local(gateway),
    store: "memory",
    wasm: "build/weir.wasm",
    log: () => {},
  });
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({ node: "policies", xds: server.xds, admin: local(admin) }),
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
    url: `http://127.0.0.1:${gateway}`,
    admin: `http://127.0.0.1:${admin}`,
    envoy,
    async apply(route) {
      const { name, namespace } = (route as { metadata: { name: string; namespace: string } })
        .metadata;
      await command(["apply", "-f", "-"], stringify(route));
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

/** A real Envoy with a fixed configuration: one listener with these filters before the router. */
export async function startPlainEnvoy(
  filters: object[],
  route: object,
  clusters: Record<string, string>,
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
    admin: { address: address(admin) },
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
    concurrency: 1,
  });
  return { url: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${admin}`, envoy };
}
