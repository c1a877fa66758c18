import type { Command } from "commander";
import { type BootstrapOptions, bootstrap } from "../../xds/bootstrap.ts";
import { limitDefaults } from "../../xds/overload-manager.ts";
import { addressesOption, addressOption } from "../address.ts";
import { readToken } from "../client.ts";
import { wholeNumber } from "../edge-flags.ts";
import { UsageError } from "../exit.ts";
import { filled } from "../flags.ts";
import { print } from "../output.ts";

interface BootstrapFlags extends Omit<BootstrapOptions, "token" | "limits"> {
  tokenFile?: string;
  maxConnections: number;
  maxHeap: number;
}

/** The control service takes no longer one. */
const maxNodeCharacters = 256;

const mebibyte = 1024 ** 2;

export function addBootstrap(program: Command): void {
  program
    .command("bootstrap")
    .summary("print the bootstrap of an Envoy")
    .description(
      "Prints the bootstrap of an Envoy that gets everything else from a Weir control service.",
    )
    .requiredOption("--node <id>", "id of the proxy, unique in the fleet", (text) =>
      filled(text, maxNodeCharacters),
    )
    .addOption(
      addressesOption("xds", "xDS address of the control service, of every replica", 18000),
    )
    .addOption(addressOption("admin", "Envoy's admin interface", 9901))
    .option("--delta", "use incremental xDS")
    .option(
      "--max-connections <count>",
      "clients' connections that the proxy takes at once",
      (text) => wholeNumber(text, 1, 1_000_000),
      limitDefaults.maxConnections,
    )
    .option(
      "--max-heap <MiB>",
      "Envoy's heap, near which it sheds load",
      (text) => wholeNumber(text, 64, 1_048_576),
      limitDefaults.maxHeapBytes / mebibyte,
    )
    .option("--token-file <file>", "token of the proxy; its content goes into the bootstrap")
    .option(
      "--ca <path>",
      "authority of the control service, a path on the proxy's machine: use TLS",
    )
    .option("--cert <path>", "certificate of the proxy, likewise")
    .option("--key <path>", "its key")
    .addHelpText(
      "after",
      "\nExample:\n  weir bootstrap --node gateway-1 > envoy.yaml && envoy -c envoy.yaml",
    )
    .action(({ tokenFile, maxConnections, maxHeap, ...flags }: BootstrapFlags) => {
      if ((flags.cert === undefined) !== (flags.key === undefined))
        throw new UsageError("a certificate needs both --cert and --key");
      if (flags.cert !== undefined && flags.ca === undefined)
        throw new UsageError("--cert needs --ca: who shows a certificate should ask for one");
      const token = tokenFile === undefined ? undefined : readToken(tokenFile);
      const limits = { maxConnections, maxHeapBytes: maxHeap * mebibyte };
      print(bootstrap({ ...flags, limits, ...(token ? { token } : {}) }));
    });
}
