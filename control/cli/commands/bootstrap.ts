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
    .summary("print the bootstrap configuration of an Envoy")
    .description(
      "Prints the bootstrap configuration of an Envoy that gets everything else from a Weir control service.",
    )
    .requiredOption("--node <id>", "id of the proxy, unique in the fleet", (text) =>
      filled(text, maxNodeCharacters),
    )
    .addOption(
      addressesOption("xds", "xDS addresses of the control service, one per replica", 18000),
    )
    .addOption(addressOption("admin", "address of Envoy's admin interface", 9901))
    .option("--delta", "use incremental xDS")
    .option(
      "--max-connections <count>",
      "maximum number of open client connections",
      (text) => wholeNumber(text, 1, 1_000_000),
      limitDefaults.maxConnections,
    )
    .option(
      "--max-heap <MiB>",
      "maximum heap of Envoy; near it Envoy sheds load",
      (text) => wholeNumber(text, 64, 1_048_576),
      limitDefaults.maxHeapBytes / mebibyte,
    )
    .option(
      "--token-file <file>",
      "file with the proxy's token; the token is written into the bootstrap",
    )
    .option(
      "--ca <path>",
      "certificate authority of the control service, as a path on the proxy's machine; turns on TLS",
    )
    .option("--cert <path>", "certificate of the proxy, as a path on the proxy's machine")
    .option("--key <path>", "key of the certificate, as a path on the proxy's machine")
    .addHelpText(
      "after",
      "\nExample:\n  weir bootstrap --node gateway-1 > envoy.yaml && envoy -c envoy.yaml",
    )
    .action(({ tokenFile, maxConnections, maxHeap, ...flags }: BootstrapFlags) => {
      if ((flags.cert === undefined) !== (flags.key === undefined))
        throw new UsageError("--cert and --key must be given together");
      if (flags.cert !== undefined && flags.ca === undefined)
        throw new UsageError(
          "--cert needs --ca: without it the proxy would not verify the control service",
        );
      const token = tokenFile === undefined ? undefined : readToken(tokenFile);
      const limits = { maxConnections, maxHeapBytes: maxHeap * mebibyte };
      print(bootstrap({ ...flags, limits, ...(token ? { token } : {}) }));
    });
}
