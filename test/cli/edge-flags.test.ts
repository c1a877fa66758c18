import { Command } from "commander";
import { expect, it } from "vitest";
import { type EdgeFlags, edgeOf, withEdgeFlags } from "../../control/cli/edge-flags.ts";

/** What the flags mean, or why they are refused. */
function read(...words: string[]) {
  let said = "";
  const command = new Command().exitOverride().configureOutput({
    writeErr: (text) => {
      said += text;
    },
  });
  withEdgeFlags(command);
  try {
    command.parse(words, { from: "user" });
    return edgeOf(command.opts<EdgeFlags>());
  } catch (error) {
    return said || (error as Error).message;
  }
}

const pair = ["--gateway-tls-cert", "/tls/tls.crt", "--gateway-tls-key", "/tls/tls.key"];

it("a certificate with its key turns on TLS, an authority asks for the clients'", () => {
  expect(read()).not.toHaveProperty("tls");
  expect(read(...pair)).toMatchObject({ tls: { cert: "/tls/tls.crt", key: "/tls/tls.key" } });
  expect(read(...pair, "--gateway-client-ca", "/tls/ca.crt")).toMatchObject({
    tls: { clientCa: "/tls/ca.crt" },
  });
});

it.each([
  ["--gateway-tls-cert", "/tls/tls.crt"],
  ["--gateway-tls-key", "/tls/tls.key"],
  ["--gateway-client-ca", "/tls/ca.crt"],
])("%s alone is refused, and what it lacks is named", (...words) => {
  expect(read(...words)).toBe(
    "TLS of the gateway needs both --gateway-tls-cert and --gateway-tls-key",
  );
});

it("an access log is a file on the Envoys' machines, or their standard output", () => {
  expect(read()).not.toHaveProperty("accessLog");
  for (const accessLog of ["stdout", "/var/log/weir/access.log"])
    expect(read("--gateway-access-log", accessLog)).toMatchObject({ accessLog });
  expect(read("--gateway-access-log", "stderr")).toContain("give an absolute path");
});

it("a collector of traces is reached over HTTP or gRPC", () => {
  expect(read()).not.toHaveProperty("traces");
  const usual = { percent: 1, serviceName: "weir-gateway" };
  for (const [url, collector] of [
    ["http://otel:4318", { host: "otel", port: 4318, protocol: "http", path: "/v1/traces" }],
    ["http://[::1]:4318/otlp", { host: "::1", port: 4318, protocol: "http", path: "/otlp" }],
    ["grpc://otel.example.net:4317", { host: "otel.example.net", port: 4317, protocol: "grpc" }],
  ] as const)
    expect(read("--gateway-traces", url)).toMatchObject({ traces: { ...usual, collector } });
  const asked = ["--gateway-traces-percent", "2.5", "--gateway-traces-service", "edge"];
  expect(read("--gateway-traces", "grpc://otel:4317", ...asked)).toMatchObject({
    traces: { percent: 2.5, serviceName: "edge" },
  });
});

it.each([
  "otel:4317",
  "https://otel:4318",
  "grpc://otel",
  "grpc://otel:4317/path",
  "http://me:secret@otel:4318",
  "http://otel:4318?key=secret",
])("a collector that the Envoys cannot be told of is refused: %s", (url) => {
  expect(read("--gateway-traces", url)).toContain(
    "give http://HOST:PORT[/PATH] or grpc://HOST:PORT.",
  );
});

it.each(["101", "-1", "", "1e1", "many"])("a share that is none is refused: %s", (percent) => {
  expect(read(`--gateway-traces-percent=${percent}`)).toContain("give a number from 0 to 100.");
});

it.each(["tls.crt", "", "./tls.crt", `/${"a".repeat(4096)}`])(
  "a path that is not absolute or too long is refused: %s",
  (path) => {
    expect(read("--gateway-tls-cert", path)).toContain(
      "give an absolute path of at most 4096 characters.",
    );
  },
);
