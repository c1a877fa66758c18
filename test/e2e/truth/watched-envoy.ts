import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import asc from "assemblyscript/asc";
import { stringify } from "yaml";
import { findEnvoy, startEnvoy } from "../../../control/envoy/index.ts";
import { freePorts } from "../../free-ports.ts";
import type { Pods } from "./pods.ts";

/** A filter with a recorder on either side of it. */
export interface Watched {
  /** Name of its module in build/. */
  module: string;
  config: object;
}

const types = "type.googleapis.com/envoy.extensions";

/** A Wasm filter with a VM of its own, so that its streams have the same numbers as their neighbours'. */
function wasm(name: string, file: string, configuration: string): object {
  return {
    name,
    typed_config: {
      "@type": `${types}.filters.http.wasm.v3.Wasm`,
      config: {
        name,
        vm_config: {
          vm_id: name,
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: resolve(file) } },
        },
        configuration: {
          "@type": "type.googleapis.com/google.protobuf.StringValue",
          value: configuration,
        },
      },
    },
  };
}

/** The configuration of the filter at a listener, which reports to those who watch. */
export function configOf(name: string, config: object): object {
  return { ...config, report: { cluster: "truth", authority: name } };
}

function listener(name: string, port: number, recorder: string, { module, config }: Watched) {
  const to = (cluster: string) => ({ route: { cluster, timeout: "60s" } });
  const routes = [
    {
      match: { prefix: "/", headers: [{ name: "x-pods", string_match: { exact: "h2" } }] },
      ...to("h2"),
    },
    { match: { prefix: "/" }, ...to("h1") },
  ];
  const manager = {
    "@type": `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    http_protocol_options: { enable_trailers: true },
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes }] },
    http_filters: [
      wasm(`front-${name}`, recorder, `/front/${name}`),
      wasm(name, `build/${module}.wasm`, JSON.stringify(configOf(name, config))),
      wasm(`behind-${name}`, recorder, `/behind/${name}`),
      {
        name: "router",
        typed_config: { "@type": `${types}.filters.http.router.v3.Router` },
      },
    ],
  };
  return {
    name,
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
  };
}

function cluster(name: string, port: number, isHttp2: boolean): object {
  const options = isHttp2
    ? { http2_protocol_options: {} }
    : { http_protocol_options: { enable_trailers: true } };
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  return {
    name,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": `${types}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: options,
      },
    },
  };
}

async function compileRecorder(file: string): Promise<void> {
  const source = "test/e2e/truth/recorder/index.ts";
  const { error, stderr } = await asc.main([source, "--config", "asconfig.json", "-o", file]);
  if (error) throw new Error(stderr.toString());
}

/** Starts a real Envoy with one worker and a listener for each filter; gives their ports. */
export async function startWatchedEnvoy(
  filters: Record<string, Watched>,
  pods: Pods,
  watchPort: number,
): Promise<{ ports: Record<string, number>; stop(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "weir-truth-"));
  const recorder = join(directory, "recorder.wasm");
  await compileRecorder(recorder);
  const names = Object.keys(filters);
  const [adminPort = 0, ...free] = await freePorts(names.length + 1);
  const ports = Object.fromEntries(names.map((name, i) => [name, free[i] ?? 0]));
  const admin = { host: "127.0.0.1", port: adminPort };
  const bootstrap = stringify({
    admin: { address: { socket_address: { address: admin.host, port_value: admin.port } } },
    static_resources: {
      listeners: Object.entries(filters).map(([name, filter]) =>
        listener(name, ports[name] ?? 0, recorder, filter),
      ),
      clusters: [
        cluster("h1", pods.ports.h1, false),
        cluster("h2", pods.ports.h2, true),
        cluster("truth", watchPort, true),
      ],
    },
  });
  const binary = await findEnvoy(() => {});
  const envoy = await startEnvoy({ binary, bootstrap, admin, concurrency: 1 });
  return {
    ports,
    async stop() {
      await envoy.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
