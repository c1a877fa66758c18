import { type Command, Option } from "commander";
import type { TlsFiles } from "../auth/index.ts";
import { defaultIstioVersion, defaultWasmUrl } from "../istio/index.ts";
import type { Address } from "../xds/index.ts";
import { addressOption, collectAddresses, showAddress } from "./address.ts";
import { packagedFile, packageVersion } from "./built.ts";
import { readToken } from "./client.ts";
import { UsageError } from "./exit.ts";
import { tokenFile } from "./flags.ts";
import { type RolloutSourceFlags, withRolloutSources } from "./rollout-sources.ts";
import { untilStopped } from "./signals.ts";

interface ServeFlags extends RolloutSourceFlags {
  listen: Address;
  xds: Address;
  gateway: Address;
  store: string;
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
  wasmSha256?: string;
  reportTo?: string;
  drift: "correct" | "pause";
  instance: string;
  peer?: Address[];
}

export function addServe(program: Command): void {
  const serve = program
    .command("serve")
    .summary("run the control service")
    .description(
      "Runs the control service: API and page on one address, xDS for plain Envoys on another.",
    )
    .addOption(addressOption("listen", "API and page", 8080))
    .addOption(addressOption("xds", "xDS", 18000))
    .addOption(addressOption("gateway", "where the Envoys listen for clients", 10000))
    .option(
      "--store <store>",
      "memory, lmdb:DIRECTORY, etcd://HOST:PORT[,HOST:PORT] or kube[:NAMESPACE]",
      "lmdb:weir-data",
    )
    .addOption(packagedFile("wasm", "weir.wasm, sent to the proxies", "build/weir.wasm"))
    .option(
      "--wasm-on-proxy <path>",
      "path of weir.wasm on the proxies' machines, instead of sending it",
    )
    .option(...tokenFile)
    .option(
      "--peer <host:port>",
      "API of another replica on the same store; may be repeated, and a name may stand for all of them",
      collectAddresses,
    )
    .option("--istio-version <version>", "kube: Istio in the cluster", defaultIstioVersion)
    .option("--wasm-url <url>", "kube: where Istio's proxies get weir.wasm", defaultWasmUrl)
    .option("--wasm-sha256 <digest>", "kube: digest of it, checked before it is loaded")
    .option(
      "--report-to <host:port>",
      "kube: this service as Istio's proxies reach it; their filters report there",
    )
    .addOption(
      new Option("--drift <policy>", "kube: what happens to edits of what Weir applied")
        .choices(["correct", "pause"])
        .default("correct"),
    )
    .option("--instance <name>", "kube: told apart from other control services by this", "weir")
    .option("--access <file>", "who may do what: tokens, certificates, issuers of tokens")
    .option("--tls-cert <file>", "certificate of this service, PEM: API and xDS then speak TLS")
    .option("--tls-key <file>", "its key")
    .option("--client-ca <file>", "authority of the clients' certificates")
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
        logFormat,
        tlsCert,
        tlsKey,
        clientCa,
        ...given
      }: ServeFlags) => {
        const tls = tlsOf(tlsCert, tlsKey, clientCa);
        const { istioVersion, wasmUrl, wasmSha256, reportTo, drift, instance, ...flags } = given;
        const report = reportTo === undefined ? undefined : { address: reportTo };
        const cluster = { render: { istioVersion, wasmUrl, wasmSha256, report }, drift, instance };
        const token = readToken(tokenFile);
        // Loaded here: no other command should wait for the Envoy API's descriptors.
        const { startServer } = await import("../server.ts");
        const { callInterceptor, createLog, createTracing } = await import("../telemetry/index.ts");
        const { log, logger } = createLog({ format: logFormat });
        const tracing = createTracing(process.env.OTEL_EXPORTER_OTLP_ENDPOINT, packageVersion());
        // Whoever is told to end while it starts ends in good order all the same.
        const stopped = untilStopped();
        const server = await startServer({
          ...flags,
          cluster,
          ...(webhook ? { webhooks: webhook } : {}),
          ...(peer ? { peers: peer } : {}),
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
  withRolloutSources(serve);
}

function tlsOf(cert?: string, key?: string, clientCa?: string): TlsFiles | undefined {
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UsageError("TLS needs both --tls-cert and --tls-key");
  return { cert, key, ...(clientCa ? { clientCa } : {}) };
}
