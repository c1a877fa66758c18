import { type Command, InvalidArgumentError, Option } from "commander";
import type { TlsFiles } from "../../auth/index.ts";
import { defaultIstioVersion, defaultWasmUrl } from "../../istio/index.ts";
import { type AddressRange, parseRange } from "../../registration/index.ts";
import type { Address } from "../../xds/index.ts";
import { addressOption, collectAddresses, showAddress } from "../address.ts";
import { readToken } from "../client.ts";
import { type EdgeFlags, edgeOf, withEdgeFlags } from "../edge-flags.ts";
import { UsageError } from "../exit.ts";
import { allowedHost, tokenFile } from "../flags.ts";
import { packagedFile, packageVersion } from "../package-files.ts";
import { untilStopped } from "../signals.ts";
import { storeFor } from "../store-for.ts";
import { type RolloutSourceFlags, withRolloutSources } from "./rollout-sources.ts";

/** Name of a control service that is alone in its cluster. */
const soleInstance = "weir";

interface ServeFlags extends RolloutSourceFlags, EdgeFlags {
  listen: Address;
  xds: Address;
  gateway: Address;
  store?: string;
  acceptEmpty?: boolean;
  wasm: string;
  wasmOnProxy?: string;
  tokenFile?: string;
  logFormat: "text" | "json";
  access?: string;
  tlsCert?: string;
  tlsKey?: string;
  clientCa?: string;
  istioVersion: string;
  wasmUrl: string;
  tokenLimitWasmUrl?: string;
  routeSelectWasmUrl?: string;
  wasmSha256?: string;
  reportTo?: string;
  drift: "correct" | "pause";
  instance: string;
  peer?: Address[];
  allowedHost?: string[];
  endpointRange?: AddressRange[];
}

export function addServe(program: Command): void {
  const serve = program
    .command("serve")
    .summary("run the control service")
    .description(
      "Runs the control service: API and page on one address, xDS for plain Envoys on another.",
    )
    .addOption(addressOption("listen", "address of API and page", 8080))
    .addOption(addressOption("xds", "address of the xDS server", 18000))
    .addOption(addressOption("gateway", "address where the Envoys listen for clients", 10000))
    .option(
      "--store <store>",
      "memory, lmdb:DIRECTORY, etcd://HOST:PORT[,HOST:PORT] or kube[:NAMESPACE] (default: lmdb in $XDG_STATE_HOME/weir or ~/.local/state/weir)",
    )
    .option("--accept-empty", "accept an empty store: proxies drop the routes that they still run")
    .addOption(
      packagedFile("wasm", "path of weir.wasm, which is sent to the proxies", "build/weir.wasm"),
    )
    .option(
      "--wasm-on-proxy <path>",
      "path of weir.wasm on the proxies' machines, instead of sending it",
    )
    .option(...tokenFile)
    .option(
      "--peer <host:port>",
      "API address of another replica on the same store; may be repeated; one DNS name may resolve to all replicas",
      collectAddresses,
    )
    .option(...allowedHost)
    .option(
      "--endpoint-range <range>",
      "addresses that pods may register with, e.g. 10.0.0.0/8; may be repeated (default: all but loopback, link-local, metadata, multicast and unspecified ones)",
      collectRanges,
    )
    .option(
      "--istio-version <version>",
      "kube: version of Istio in the cluster",
      defaultIstioVersion,
    )
    .option(
      "--wasm-url <url>",
      "kube: URL from which Istio's proxies load weir.wasm",
      defaultWasmUrl,
    )
    .option(
      "--token-limit-wasm-url <url>",
      "kube: URL of token-limit.wasm, for routes that count tokens (default: next to weir.wasm)",
    )
    .option(
      "--route-select-wasm-url <url>",
      "kube: URL of route-select.wasm, for routes that share hosts (default: next to weir.wasm)",
    )
    .option(
      "--wasm-sha256 <digest>",
      "kube: SHA-256 of weir.wasm; proxies check it before they load the file",
    )
    .option(
      "--report-to <host:port>",
      "kube: address of this service as Istio's proxies reach it; their filters send reports to it",
    )
    .addOption(
      new Option("--drift <policy>", "kube: what to do with edits of objects that Weir applied")
        .choices(["correct", "pause"])
        .default("correct"),
    )
    .option(
      "--instance <name>",
      "kube: name of this control service where several share a cluster; one with a name of its own leaves unknown hosts to the others",
      soleInstance,
    )
    .option(
      "--access <file>",
      "access file with the tokens, certificates and token issuers that may connect, and their roles",
    )
    .option("--tls-cert <file>", "certificate of this service (PEM); turns on TLS for API and xDS")
    .option("--tls-key <file>", "key of the certificate")
    .option("--client-ca <file>", "certificate authority of the clients")
    .addOption(
      new Option("--log-format <format>", "text for people, json for programs")
        .choices(["text", "json"])
        .default("text"),
    )
    .addHelpText(
      "after",
      "\nTraces go to the OTLP/HTTP collector that OTEL_EXPORTER_OTLP_ENDPOINT names.\n\nExamples:\n  weir serve --store lmdb:/var/lib/weir\n  weir serve --store kube:weir-system\n  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 weir serve --log-format json",
    )
    .action(
      async ({
        tokenFile,
        webhook,
        peer,
        allowedHost,
        endpointRange,
        logFormat,
        tlsCert,
        tlsKey,
        clientCa,
        ...given
      }: ServeFlags) => {
        const tls = tlsOf(tlsCert, tlsKey, clientCa);
        const { istioVersion, wasmUrl, tokenLimitWasmUrl, routeSelectWasmUrl, ...others } = given;
        const { store, drift, instance, wasmSha256, reportTo, ...flags } = others;
        const report = reportTo === undefined ? undefined : { address: reportTo };
        const { acceptEmpty = false } = flags;
        const isComplete = instance === soleInstance;
        const urls = { wasmUrl, tokenLimitWasmUrl, routeSelectWasmUrl, wasmSha256 };
        const render = { istioVersion, ...urls, report, isComplete };
        const cluster = { render, drift, instance, acceptEmpty };
        const token = readToken(tokenFile);
        // Loaded here: no other command should wait for the Envoy API's descriptors.
        const { startServer } = await import("../../service/index.ts");
        const { callInterceptor, createLog, createTracing } = await import(
          "../../telemetry/index.ts"
        );
        const { log, logger } = createLog({ format: logFormat });
        const tracing = createTracing(process.env.OTEL_EXPORTER_OTLP_ENDPOINT, packageVersion());
        let stopped: Promise<void> | undefined;
        const server = await startServer({
          ...flags,
          edge: edgeOf(given),
          store: storeFor(store, log),
          // From here on a signal shuts the service down in order. While the store is being opened
          // there is nothing to shut down, and a signal must not wait for a slow disk.
          opened() {
            stopped = untilStopped();
          },
          cluster,
          ...(webhook ? { webhooks: webhook } : {}),
          ...(peer ? { peers: peer } : {}),
          ...(allowedHost ? { allowedHosts: allowedHost } : {}),
          ...(endpointRange ? { endpointRanges: endpointRange } : {}),
          ...(token ? { token } : {}),
          ...(tls ? { tls } : {}),
          log,
          interceptors: [callInterceptor(tracing, logger)],
        });
        log(
          `API and page on ${tls ? "https" : "http"}://${showAddress(server.listen)}, xDS on ${showAddress(server.xds)}`,
        );
        await stopped;
        await server.close();
        await tracing.close();
      },
    );
  withEdgeFlags(serve);
  withRolloutSources(serve);
}

/** @throws InvalidArgumentError for a text that is no range */
function collectRanges(text: string, before: AddressRange[] = []): AddressRange[] {
  const range = parseRange(text);
  if (range === undefined)
    throw new InvalidArgumentError("give an IP address or a range such as 10.0.0.0/8.");
  return [...before, range];
}

function tlsOf(cert?: string, key?: string, clientCa?: string): TlsFiles | undefined {
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UsageError("TLS needs both --tls-cert and --tls-key");
  return { cert, key, ...(clientCa ? { clientCa } : {}) };
}
