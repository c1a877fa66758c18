import { Buffer } from "node:buffer";
import { createConnection } from "node:net";
import { resolve } from "node:path";
import { stringify } from "yaml";
import { findEnvoy, startEnvoy } from "../../../control/envoy/index.ts";
import { freePorts } from "../../free-ports.ts";
import type { Headers } from "../../host/header-map.ts";

/** What a real Envoy did with one request: the headers its filter was given, and what came of them. */
export interface Recorded {
  before: Headers;
  /** The headers behind the filter; undefined where the filter answered. */
  after: Headers | undefined;
  status: number;
  /** Of the answer, in order. */
  headers: Headers;
  body: string;
  /** When the request was sent and its answer read, in milliseconds. */
  sentMs: number;
  readMs: number;
}

export interface Recorder {
  /** Sends a request, as bytes, to the listener of a plug-in. */
  send(plugin: string, request: Buffer): Promise<Recorded>;
  stop(): Promise<void>;
}

/** Records the headers as hexadecimal text, so that every byte arrives. */
const list = `
local function hex(text)
  return (text:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end
local function list(headers)
  local all = {}
  for key, value in pairs(headers) do all[#all + 1] = hex(key) .. ":" .. hex(value) end
  return table.concat(all, ",")
end`;
const inFront = `${list}
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("record", "before", list(handle:headers()))
end
function envoy_on_response(handle)
  handle:headers():add("x-before", handle:streamInfo():dynamicMetadata():get("record").before)
end`;
const behind = `${list}
function envoy_on_request(handle)
  handle:respond({ [":status"] = "200", ["x-after"] = list(handle:headers()) }, "")
end`;

const types = "type.googleapis.com/envoy.extensions.filters";
const lua = (name: string, script: string) => ({
  name,
  typed_config: {
    "@type": `${types}.http.lua.v3.Lua`,
    default_source_code: { inline_string: script },
  },
});
const wasm = (plugin: string, config: object) => ({
  name: plugin,
  typed_config: {
    "@type": `${types}.http.wasm.v3.Wasm`,
    config: {
      name: plugin,
      vm_config: {
        runtime: "envoy.wasm.runtime.v8",
        code: { local: { filename: resolve("build/weir.wasm") } },
      },
      configuration: {
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        value: JSON.stringify(config),
      },
    },
  },
});

/** A listener whose filter stands between two that record. */
function listener(port: number, plugin: string, config: object): object {
  const manager = {
    "@type": `${types}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: plugin,
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, direct_response: { status: 204 } }],
        },
      ],
    },
    http_filters: [
      lua("in-front", inFront),
      wasm(plugin, config),
      lua("behind", behind),
      { name: "router", typed_config: { "@type": `${types}.http.router.v3.Router` } },
    ],
  };
  return {
    name: plugin,
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
  };
}

/** Starts a real Envoy with one worker and a listener for each plug-in; all of them share a VM. */
export async function startRecorder(configs: Record<string, object>): Promise<Recorder> {
  const plugins = Object.keys(configs);
  const [adminPort = 0, ...ports] = await freePorts(plugins.length + 1);
  const admin = { host: "127.0.0.1", port: adminPort };
  const bootstrap = stringify({
    admin: { address: { socket_address: { address: admin.host, port_value: admin.port } } },
    static_resources: {
      listeners: plugins.map((plugin, i) => listener(ports[i] ?? 0, plugin, configs[plugin] ?? {})),
    },
  });
  const binary = await findEnvoy(() => {});
  const envoy = await startEnvoy({ binary, bootstrap, admin, concurrency: 1 });
  const connections = new Map(
    plugins.map((plugin, i) => [plugin, connection(ports[i] ?? 0)] as const),
  );
  return {
    async send(plugin, request) {
      const sentMs = Date.now();
      const answer = (await connections.get(plugin)?.ask(request)) ?? "";
      return { ...read(answer), sentMs, readMs: Date.now() };
    },
    async stop() {
      for (const { close } of connections.values()) close();
      await envoy.stop();
    },
  };
}

/** One connection to a listener; a request at a time. */
function connection(port: number): { ask(request: Buffer): Promise<string>; close(): void } {
  const socket = createConnection(port, "127.0.0.1");
  return {
    ask(request) {
      return new Promise((done, fail) => {
        let answer = "";
        const onData = (chunk: Buffer) => {
          answer += chunk.toString("latin1");
          if (!isWhole(answer)) return;
          socket.off("data", onData);
          socket.off("close", onClose);
          done(answer);
        };
        const onClose = () => fail(new Error(`closed after: ${answer.slice(0, 400)}`));
        socket.on("data", onData);
        socket.once("close", onClose);
        socket.write(request);
      });
    },
    close: () => socket.destroy(),
  };
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const bytes = Number(/\r\ncontent-length: (\d+)/.exec(answer)?.[1] ?? 0);
  return answer.length >= end + 4 + bytes;
}

function read(answer: string): Omit<Recorded, "sentMs" | "readMs"> {
  const end = answer.indexOf("\r\n\r\n");
  const [first = "", ...lines] = answer.slice(0, end).split("\r\n");
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
  const body = answer.slice(end + 4);
  const recorded = (name: string) => headers.find(([key]) => key === name)?.[1];
  const before = recorded("x-before");
  const after = recorded("x-after");
  if (before === undefined) throw new Error(`not recorded: ${answer.slice(0, 400)}`);
  return {
    before: decode(before),
    after: after === undefined ? undefined : decode(after),
    status: Number(first.split(" ")[1]),
    headers: headers.filter(([key]) => key !== "x-before"),
    body,
  };
}

function decode(text: string): Headers {
  const value = (hex: string | undefined) => Buffer.from(hex ?? "", "hex").toString("latin1");
  return text.split(",").map((pair): [string, string] => {
    const [key, content] = pair.split(":");
    return [value(key), value(content)];
  });
}
