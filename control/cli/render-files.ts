import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { type RouteState, RouteStateSchema } from "../gen/weir/v1/service_pb.ts";
import {
  checkFilterFailure,
  defaultIstioVersion,
  defaultWasmUrl,
  type Manifest,
  mergeExisting,
  previousStates,
  type RenderOptions,
  type RouteProblem,
  renderIstio,
} from "../istio/index.ts";
import type { KubernetesObject } from "../objects/index.ts";
import { draftRoute, routeName } from "../route/index.ts";
import { FailedError } from "./exit.ts";
import { readRoutes } from "./input.ts";

/** Flags of the commands that render. */
export interface RenderFlags extends RenderOptions {
  file: string[];
}

/** The options of a rendering, for the commands that make one. */
export function withRenderOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--target <target>", "what routes the requests")
        .choices(["istio", "gateway-api"])
        .default("istio"),
    )
    .addOption(
      new Option(
        "--gateway-api-channel <channel>",
        "channel of the Gateway API CRDs in the cluster",
      )
        .choices(["standard", "experimental"])
        .default("standard"),
    )
    .option(
      "--wasm-url <url>",
      "URL from which the proxies load weir.wasm: file, http, https or oci",
      defaultWasmUrl,
    )
    .option(
      "--token-limit-wasm-url <url>",
      "URL of token-limit.wasm, for routes that count tokens (default: next to weir.wasm)",
    )
    .option(
      "--route-select-wasm-url <url>",
      "URL of route-select.wasm, for routes that share hosts (default: next to weir.wasm)",
    )
    .option(
      "--wasm-sha256 <digest>",
      "SHA-256 of weir.wasm; proxies check it before they load the file",
    )
    .option("--istio-version <version>", "version of Istio to render for", defaultIstioVersion);
}

/** Rendered routes, with the previous assignment of users as far as `existing` contains it. */
export interface RenderedFiles {
  manifests: Manifest[];
  states: RouteState[];
  before: Map<string, RouteState>;
}

/** Renders the routes of some files. @throws FailedError with a line per problem */
export function renderFiles(
  { file, ...options }: RenderFlags,
  existing: readonly KubernetesObject[] = [],
  merge = false,
): RenderedFiles {
  const before = previousStates(existing);
  const states = readRoutes(file).map((route) =>
    create(RouteStateSchema, draftRoute(route, before.get(routeName(route)))),
  );
  const rendering = renderIstio(states, options);
  refuse(rendering.problems);
  const routes = states.flatMap(({ route }) => route ?? []);
  warn(checkFilterFailure(routes));
  if (!merge) return { manifests: rendering.manifests, states, before };
  const merged = mergeExisting(rendering.manifests, existing, routes);
  refuse(merged.problems);
  warn(merged.losses);
  return { manifests: merged.manifests, states, before };
}

function warn(found: RouteProblem[]): void {
  for (const { code, message, path, route } of found)
    process.stderr.write(`warning: ${route}: ${path}: ${message} [${code}]\n`);
}

function refuse(problems: RouteProblem[]): void {
  if (problems.length === 0) return;
  throw new FailedError(
    problems
      .map(({ code, message, path, route }) => `${route}: ${path}: ${message} [${code}]`)
      .join("\n"),
  );
}
