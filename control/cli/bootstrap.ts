import type { Command } from "commander";
import { bootstrap } from "../xds/bootstrap.ts";
import type { Address } from "../xds/index.ts";
import { parseAddress } from "./address.ts";
import { print } from "./output.ts";

export function addBootstrap(program: Command): void {
  program
    .command("bootstrap")
    .summary("print the bootstrap of an Envoy")
    .description(
      "Prints the bootstrap of an Envoy that gets everything else from a Weir control service.",
    )
    .requiredOption("--node <id>", "id of the proxy, unique in the fleet")
    .option("--xds <host:port>", "xDS address of the control service", parseAddress, {
      host: "127.0.0.1",
      port: 18000,
    })
    .option("--admin <host:port>", "Envoy's admin interface", parseAddress, {
      host: "127.0.0.1",
      port: 9901,
    })
    .option("--delta", "use incremental xDS")
    .addHelpText(
      "after",
      "\nExample:\n  weir bootstrap --node gateway-1 > envoy.yaml && envoy -c envoy.yaml",
    )
    .action((flags: { node: string; xds: Address; admin: Address; delta?: boolean }) =>
      print(bootstrap(flags)),
    );
}
