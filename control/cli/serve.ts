import type { Command } from "commander";
import type { Address } from "../xds/index.ts";
import { parseAddress, showAddress } from "./address.ts";
import { builtWasm } from "./built.ts";
import { readToken } from "./client.ts";
import { tokenFile } from "./flags.ts";
import { untilStopped } from "./signals.ts";

interface ServeFlags {
  listen: Address;
  xds: Address;
  gateway: Address;
  store: string;
  wasm: string;
  wasmOnProxy?: string;
  tokenFile?: string;
}

export function addServe(program: Command): void {
  program
    .command("serve")
    .summary("run the control service")
    .description(
      "Runs the control service: API and page on one address, xDS for plain Envoys on another.",
    )
    .option("--listen <host:port>", "API and page", parseAddress, { host: "127.0.0.1", port: 8080 })
    .option("--xds <host:port>", "xDS", parseAddress, { host: "127.0.0.1", port: 18000 })
    .option("--gateway <host:port>", "where the Envoys listen for clients", parseAddress, {
      host: "127.0.0.1",
      port: 10000,
    })
    .option(
      "--store <store>",
      "memory, lmdb:DIRECTORY, etcd://HOST:PORT[,HOST:PORT] or kube[:NAMESPACE]",
      "lmdb:weir-data",
    )
    .option("--wasm <file>", "weir.wasm, sent to the proxies", builtWasm)
    .option(
      "--wasm-on-proxy <path>",
      "path of weir.wasm on the proxies' machines, instead of sending it",
    )
    .option(...tokenFile)
    .addHelpText("after", "\nExample:\n  weir serve --store lmdb:/var/lib/weir")
    .action(async ({ tokenFile, ...flags }: ServeFlags) => {
      const log = (line: string) => process.stderr.write(`${line}\n`);
      const token = readToken(tokenFile);
      // Loaded here: no other command should wait for the Envoy API's descriptors.
      const { startServer } = await import("../server.ts");
      const server = await startServer({ ...flags, ...(token ? { token } : {}), log });
      log(
        `API and page on http://${showAddress(server.listen)}, xDS on ${showAddress(server.xds)}`,
      );
      await untilStopped();
      await server.close();
    });
}
