import { type Command, InvalidArgumentError } from "commander";
import { durationMs } from "../load/duration.ts";
import {
  type EdgeOptions,
  edgeDefaults,
  type GatewayTls,
  type Traces,
} from "../xds/resources/options.ts";
import { UsageError } from "./exit.ts";
import { filled } from "./flags.ts";

/** Flags for how the Envoys treat clients, as commander names them. */
export interface EdgeFlags {
  gatewayTrustedHops: number;
  gatewayProxyProtocol?: boolean;
  gatewayHeadersTimeout: number;
  gatewayIdleTimeout: number;
  gatewayStreamTimeout: number;
  gatewayTlsCert?: string;
  gatewayTlsKey?: string;
  gatewayClientCa?: string;
  gatewayAccessLog?: string;
  gatewayTraces?: Traces["collector"];
  gatewayTracesPercent: number;
  gatewayTracesService: string;
}

const maxHops = 16;
const maxPathCharacters = 4096;
const maxServiceCharacters = 255;
const otlpPath = "/v1/traces";

export function withEdgeFlags(command: Command): void {
  const { headersTimeoutMs, idleTimeoutMs, streamIdleTimeoutMs } = edgeDefaults;
  command
    .option(
      "--gateway-trusted-hops <count>",
      "number of proxies in front of the Envoys whose x-forwarded-for entries are trusted",
      (text) => wholeNumber(text, 0, maxHops),
      0,
    )
    .option(
      "--gateway-proxy-protocol",
      "require a PROXY protocol header on every connection; close connections without one",
    )
    .option(
      "--gateway-headers-timeout <duration>",
      "time limit for receiving a request's headers",
      parseDuration,
      headersTimeoutMs,
    )
    .option(
      "--gateway-idle-timeout <duration>",
      "time after which an idle connection is closed",
      parseDuration,
      idleTimeoutMs,
    )
    .option(
      "--gateway-stream-timeout <duration>",
      "time after which a request or response without progress is ended",
      parseDuration,
      streamIdleTimeoutMs,
    )
    .option(
      "--gateway-tls-cert <path>",
      "certificate chain of the gateway (PEM), as a path on the Envoys' machines; turns on TLS for clients",
      proxyPath,
    )
    .option(
      "--gateway-tls-key <path>",
      "key of that certificate, as a path on the Envoys' machines",
      proxyPath,
    )
    .option(
      "--gateway-client-ca <path>",
      "certificate authority of the gateway's clients, as a path on the Envoys' machines; clients without a certificate of it are refused",
      proxyPath,
    )
    .option(
      "--gateway-access-log <path>",
      'file on the Envoys\' machines that gets a line of JSON for each request, or "stdout"',
      (text) => (text === "stdout" ? text : proxyPath(text)),
    )
    .option(
      "--gateway-traces <url>",
      "OTLP collector for the spans of requests, as the Envoys reach it: http://HOST:PORT[/PATH] or grpc://HOST:PORT",
      parseCollector,
    )
    .option(
      "--gateway-traces-percent <percent>",
      "share of the requests that is traced",
      parsePercent,
      1,
    )
    .option(
      "--gateway-traces-service <name>",
      "service.name of the spans",
      (text) => filled(text, maxServiceCharacters),
      "weir-gateway",
    );
  for (const option of command.options)
    if (typeof option.defaultValue === "number" && option.flags.includes("<duration>"))
      option.default(option.defaultValue, `${option.defaultValue / 1000}s`);
}

/** @throws UsageError where flags of TLS lack each other */
export function edgeOf(flags: EdgeFlags): EdgeOptions {
  const tls = gatewayTlsOf(flags);
  const { gatewayAccessLog: accessLog, gatewayTraces: collector } = flags;
  return {
    ...(collector
      ? {
          traces: {
            collector,
            percent: flags.gatewayTracesPercent,
            serviceName: flags.gatewayTracesService,
          },
        }
      : {}),
    ...(tls ? { tls } : {}),
    ...(accessLog === undefined ? {} : { accessLog }),
    trustedHops: flags.gatewayTrustedHops,
    proxyProtocol: flags.gatewayProxyProtocol ?? false,
    headersTimeoutMs: flags.gatewayHeadersTimeout,
    idleTimeoutMs: flags.gatewayIdleTimeout,
    streamIdleTimeoutMs: flags.gatewayStreamTimeout,
  };
}

function gatewayTlsOf({
  gatewayTlsCert: cert,
  gatewayTlsKey: key,
  gatewayClientCa: clientCa,
}: EdgeFlags): GatewayTls | undefined {
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UsageError("TLS of the gateway needs both --gateway-tls-cert and --gateway-tls-key");
  return { cert, key, ...(clientCa === undefined ? {} : { clientCa }) };
}

/** Envoy would read a path that is not absolute from wherever it was started. */
function proxyPath(text: string): string {
  if (!text.startsWith("/") || text.length > maxPathCharacters || text.includes("\0"))
    throw new InvalidArgumentError(
      `give an absolute path of at most ${maxPathCharacters} characters.`,
    );
  return text;
}

/** Credentials in the URL would be part of the configuration of every proxy. */
function parseCollector(text: string): Traces["collector"] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const wrong = new InvalidArgumentError("give http://HOST:PORT[/PATH] or grpc://HOST:PORT.");
  if (url === undefined || url.username || url.password || url.search || url.hash) throw wrong;
  const port = Number(url.port || (url.protocol === "http:" ? 80 : 0));
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const bare = url.pathname === "" || url.pathname === "/";
  if (host === "" || port === 0) throw wrong;
  if (url.protocol === "http:")
    return { host, port, protocol: "http", path: bare ? otlpPath : url.pathname };
  if (url.protocol === "grpc:" && bare) return { host, port, protocol: "grpc", path: "" };
  throw wrong;
}

function parsePercent(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value > 100)
    throw new InvalidArgumentError("give a number from 0 to 100.");
  return value;
}

/** Reads a flag's number. @throws InvalidArgumentError that names the limits */
export function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new InvalidArgumentError(`give a whole number from ${min} to ${max}.`);
  return value;
}

/** Reads a flag's duration as milliseconds. @throws InvalidArgumentError that shows the form */
export function parseDuration(text: string): number {
  try {
    return durationMs(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
