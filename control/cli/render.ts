import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { RouteStateSchema } from "../gen/weir/v1/service_pb.ts";
import { defaultIstioVersion, defaultWasmUrl, renderIstio, toYaml } from "../istio/index.ts";
import { draftRoute } from "../route/index.ts";
import { FailedError } from "./exit.ts";
import { files } from "./flags.ts";
import { readRoutes } from "./input.ts";
import { print } from "./output.ts";

interface RenderFlags {
  file: string[];
  target: string;
  wasmUrl: string;
  wasmSha256?: string;
  istioVersion: string;
}

export function addRender(program: Command): void {
  program
    .command("render")
    .summary("render routes as Istio manifests")
    .description(
      "Renders route documents as Istio manifests for kubectl apply. The same documents give the same bytes. Needs no server.",
    )
    .requiredOption(...files)
    .addOption(
      new Option("--target <target>", "what to render for").choices(["istio"]).default("istio"),
    )
    .option(
      "--wasm-url <url>",
      "where the proxies get weir.wasm: file, http, https or oci",
      defaultWasmUrl,
    )
    .option("--wasm-sha256 <digest>", "digest of weir.wasm, checked before it is loaded")
    .option("--istio-version <version>", "Istio that the manifests are for", defaultIstioVersion)
    .addHelpText(
      "after",
      "\nExamples:\n  weir render -f route.yaml | kubectl apply -f -\n  weir render -f route.yaml --wasm-url oci://registry.example.com/weir:0.1",
    )
    .action(({ file, wasmUrl, wasmSha256, istioVersion }: RenderFlags) => {
      const states = readRoutes(file).map((route) =>
        create(RouteStateSchema, draftRoute(route, undefined)),
      );
      const { manifests, problems } = renderIstio(states, { wasmUrl, wasmSha256, istioVersion });
      if (problems.length > 0)
        throw new FailedError(
          problems
            .map(({ route, path, message, code }) => `${route}: ${path}: ${message} [${code}]`)
            .join("\n"),
        );
      print(toYaml(manifests));
    });
}
