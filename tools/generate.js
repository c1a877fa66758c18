// Generates TypeScript into control/gen: Weir's own protos, and the part of the
// Envoy API that the xDS server speaks, from the protos that an npm package ships.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { protoMessages } from "./proto-comments.js";

const out = resolve("control/gen");
const shipped = "node_modules/@grpc/grpc-js-xds/deps";
const modules = ["envoy-api", "googleapis", "protoc-gen-validate", "xds"];
const entries = [
  "envoy/service/discovery/v3/discovery.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/config/trace/v3/opentelemetry.proto",
  "envoy/extensions/access_loggers/file/v3/file.proto",
  "envoy/extensions/access_loggers/stream/v3/stream.proto",
  "envoy/extensions/formatter/req_without_query/v3/req_without_query.proto",
  "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.proto",
  "envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.proto",
  "envoy/extensions/filters/http/wasm/v3/wasm.proto",
  "envoy/extensions/filters/http/compressor/v3/compressor.proto",
  "envoy/extensions/filters/http/credential_injector/v3/credential_injector.proto",
  "envoy/extensions/http/injected_credentials/generic/v3/generic.proto",
  "envoy/extensions/common/matching/v3/extension_matcher.proto",
  "envoy/extensions/filters/common/matcher/action/v3/skip_action.proto",
  "envoy/type/matcher/v3/http_inputs.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/http/cors/v3/cors.proto",
  "envoy/extensions/filters/http/fault/v3/fault.proto",
  "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto",
  "envoy/extensions/clusters/aggregate/v3/cluster.proto",
  "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto",
  "envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.proto",
  "envoy/extensions/filters/http/upstream_codec/v3/upstream_codec.proto",
  "envoy/extensions/transport_sockets/tls/v3/tls.proto",
  "envoy/extensions/compression/gzip/compressor/v3/gzip.proto",
  "envoy/extensions/compression/brotli/compressor/v3/brotli.proto",
  "envoy/extensions/compression/zstd/compressor/v3/zstd.proto",
  "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
];

/** @param {string[]} args @param {string} cwd */
function buf(args, cwd) {
  const PATH = `${resolve("node_modules/.bin")}:${process.env.PATH}`;
  execFileSync("buf", args, { cwd, stdio: "inherit", env: { ...process.env, PATH } });
}

const template = {
  version: "v2",
  plugins: [
    {
      local: "protoc-gen-es",
      out,
      opt: ["target=ts", "import_extension=ts", "erasable_syntax=true"],
      include_imports: true,
    },
  ],
};

function generateEnvoy() {
  const work = mkdtempSync(join(tmpdir(), "weir-envoy-api-"));
  try {
    for (const module of modules)
      cpSync(join(shipped, module), join(work, module), { recursive: true });
    completeValidate(join(work, "protoc-gen-validate/validate/validate.proto"));
    completeWasm(join(work, "envoy-api/envoy/extensions/wasm/v3/wasm.proto"));
    completeCompressor(
      join(work, "envoy-api/envoy/extensions/filters/http/compressor/v3/compressor.proto"),
    );
    completeRoute(join(work, "envoy-api/envoy/config/route/v3/route_components.proto"));
    completeListener(join(work, "envoy-api/envoy/config/listener/v3/listener.proto"));
    completeMutations(
      join(work, "envoy-api/envoy/config/common/mutation_rules/v3/mutation_rules.proto"),
    );
    const config = { version: "v2", modules: modules.map((path) => ({ path })) };
    writeFileSync(join(work, "buf.yaml"), JSON.stringify(config));
    writeFileSync(join(work, "buf.gen.yaml"), JSON.stringify(template));
    buf(["generate", ...entries.flatMap((entry) => ["--path", entryPath(entry)])], work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @param {string} entry */
function entryPath(entry) {
  return join("envoy-api", entry);
}

/**
 * The shipped validate.proto is older than the Envoy protos beside it, which
 * use a field of StringRules that it lacks.
 * @param {string} file
 */
function completeValidate(file) {
  const text = readFileSync(file, "utf8");
  const rules = text.indexOf("message StringRules {") + "message StringRules {".length;
  if (/ignore_empty = 26/.test(text)) return;
  writeFileSync(
    file,
    `${text.slice(0, rules)}\n    optional bool ignore_empty = 26;${text.slice(rules)}`,
  );
}

/**
 * What Envoy does after a trap, and whether a filter may read a body before the headers go on, came to
 * its API (1.33, 1.35) after these protos.
 * @param {string} file
 */
function completeWasm(file) {
  const text = readFileSync(file, "utf8");
  if (/failure_policy = 7/.test(text)) return;
  const policies =
    "enum FailurePolicy { UNSPECIFIED = 0; FAIL_RELOAD = 1; FAIL_CLOSED = 2; FAIL_OPEN = 3; }";
  const reload = "message ReloadConfig { config.core.v3.BackoffStrategy backoff = 1; }";
  const plugin = text.indexOf("message PluginConfig {") + "message PluginConfig {".length;
  const fields =
    "\n  FailurePolicy failure_policy = 7;\n  ReloadConfig reload_config = 8;\n  google.protobuf.BoolValue allow_on_headers_stop_iteration = 9;";
  const complete = `${text.slice(0, plugin)}${fields}${text.slice(plugin)}\n${policies}\n${reload}\n`;
  const imported = 'import "envoy/config/core/v3/base.proto";';
  const wrappers = text.includes("google/protobuf/wrappers.proto")
    ? ""
    : 'import "google/protobuf/wrappers.proto";\n';
  writeFileSync(
    file,
    complete.replace(
      imported,
      `import "envoy/config/core/v3/backoff.proto";\n${imported}\n${wrappers}`,
    ),
  );
}

/**
 * What the compressor leaves alone came to Envoy's API (1.36, 1.38) after these protos.
 * @param {string} file
 */
function completeCompressor(file) {
  const text = readFileSync(file, "utf8");
  if (/weaken_etag_on_compress = 6/.test(text)) return;
  const message = "message ResponseDirectionConfig {";
  const at = text.indexOf(message) + message.length;
  const fields =
    "\n    repeated uint32 uncompressible_response_codes = 4;\n    bool weaken_etag_on_compress = 6;";
  writeFileSync(file, `${text.slice(0, at)}${fields}${text.slice(at)}`);
}

/**
 * Keep-alive of the clients' connections came to Envoy's API (1.36) after these protos.
 * @param {string} file
 */
function completeListener(file) {
  const text = readFileSync(file, "utf8");
  if (/tcp_keepalive = 37/.test(text)) return;
  const message = "message Listener {";
  const at = text.indexOf(message) + message.length;
  const field = "\n  core.v3.TcpKeepalive tcp_keepalive = 37;";
  writeFileSync(file, `${text.slice(0, at)}${field}${text.slice(at)}`);
}

/**
 * How much of a body may be held came to Envoy's API (1.36) after these protos.
 * @param {string} file
 */
function completeRoute(file) {
  let text = readFileSync(file, "utf8");
  if (text.includes("request_body_buffer_limit")) return;
  for (const [message, number] of [
    ["\nmessage VirtualHost {", 25],
    ["\nmessage Route {", 20],
  ])
    text = text.replace(
      String(message),
      `${message}\n  google.protobuf.UInt64Value request_body_buffer_limit = ${number};`,
    );
  writeFileSync(file, text);
}

/**
 * Removing headers by a pattern came to Envoy's API (1.34) after these protos.
 * @param {string} file
 */
function completeMutations(file) {
  const text = readFileSync(file, "utf8");
  if (/remove_on_match = 3/.test(text)) return;
  const message = "message HeaderMutation {";
  const at = text.indexOf(message) + message.length;
  const pattern = "\n  message RemoveOnMatch { type.matcher.v3.StringMatcher key_matcher = 1; }";
  const field = "\n    RemoveOnMatch remove_on_match = 3;";
  const action = "oneof action {";
  const inside = text.indexOf(action, at) + action.length;
  const imported = 'import "envoy/type/matcher/v3/regex.proto";';
  const complete = `${text.slice(0, at)}${pattern}${text.slice(at, inside)}${field}${text.slice(inside)}`;
  writeFileSync(
    file,
    complete.replace(imported, `${imported}\nimport "envoy/type/matcher/v3/string.proto";`),
  );
}

/** Generated code has the comments for readers alone: schemas need them as values. */
function generateComments() {
  const comments = Object.fromEntries(
    [...protoMessages()].flatMap(([message, { fields }]) =>
      fields.map(({ comment, name }) => [`weir.v1.${message}.${name}`, comment]),
    ),
  );
  writeFileSync(
    join(out, "weir/v1/comments.ts"),
    `/** The comment of each field in the protos, by its full name. */
export const comments: Readonly<Record<string, string>> = ${JSON.stringify(comments, null, 2)};
`,
  );
}

rmSync(out, { recursive: true, force: true });
buf(["generate"], ".");
generateComments();
generateEnvoy();
