import type { Command } from "commander";
import { toYaml } from "../../istio/index.ts";
import { files } from "../flags.ts";
import { readObjectsFile } from "../input.ts";
import { print } from "../output.ts";
import { type RenderFlags, renderFiles, withRenderOptions } from "../render-files.ts";

export function addRender(program: Command): void {
  withRenderOptions(
    program
      .command("render")
      .summary("render routes as manifests for a cluster")
      .description(
        "Renders route documents as manifests for kubectl apply. The same documents give the same bytes. Needs no server.",
      )
      .requiredOption(...files),
  )
    .option(
      "--merge <file>",
      'file with the existing objects, as printed by "kubectl get -o yaml"; fields that Weir does not set are kept, and users keep their variant',
    )
    .addHelpText(
      "after",
      "\nExamples:\n  weir render -f route.yaml | kubectl apply -f -\n  weir render -f route.yaml --wasm-url oci://registry.example.com/weir:0.1\n  kubectl get virtualservices,destinationrules -n inference -o yaml | weir render -f route.yaml --merge -",
    )
    .action(({ merge, ...flags }: RenderFlags & { merge?: string }) => {
      const existing = merge === undefined ? [] : readObjectsFile(merge);
      print(toYaml(renderFiles(flags, existing, merge !== undefined).manifests));
    });
}
