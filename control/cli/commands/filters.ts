import type { Command } from "commander";
import { parseReference, pushWasm, storedCredentials } from "../../oci/index.ts";
import { readModule } from "../../publish/filter-code.ts";
import { errorText } from "../../text/error-text.ts";
import { UsageError } from "../exit.ts";
import { print } from "../output.ts";
import { packagedFile } from "../package-files.ts";

interface PushFlags {
  wasm: string;
  plainHttp?: boolean;
}

export function addFilters(program: Command): void {
  const filters = program
    .command("filters")
    .summary("publish the filters for the proxies")
    .addHelpText("after", "\nExample:\n  weir filters push oci://registry.example.com/weir:0.1.0");
  filters
    .command("push")
    .argument("<reference>", "oci://HOST/REPOSITORY:TAG")
    .summary("push weir.wasm to a registry")
    .description(
      "Pushes weir.wasm to a registry as an OCI artifact that Istio loads, and prints its URL with the digest. Uses the credentials of docker or podman.",
    )
    .addOption(packagedFile("wasm", "file to push", "build/weir.wasm"))
    .option("--plain-http", "use HTTP without TLS")
    .addHelpText(
      "after",
      '\nExample:\n  weir render -f route.yaml --wasm-url "$(weir filters push oci://registry.example.com/weir:0.1.0)"',
    )
    .action(async (text: string, { wasm, plainHttp }: PushFlags) => {
      const reference = readReference(text);
      const digest = await pushWasm(reference, readModule(wasm), {
        credentials: storedCredentials(reference.registry),
        ...(plainHttp ? { plainHttp } : {}),
      });
      print(`oci://${reference.registry}/${reference.repository}@sha256:${digest}`);
    });
}

function readReference(text: string) {
  try {
    return parseReference(text);
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}
