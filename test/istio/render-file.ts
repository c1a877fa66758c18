import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { type Rendering, type RenderOptions, renderIstio } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";

/** Examples of what only plain Envoys can do: Istio refuses them, with these codes. */
export const examplesOfPlainEnvoys: Readonly<Record<string, string>> = {
  failover: "fallback-in-istio",
};

/** Folders of examples that are rendered for Istio. */
export const examples = readdirSync("examples").filter(
  (name) => !name.endsWith(".md") && !Object.hasOwn(examplesOfPlainEnvoys, name),
);

/** The states of newly stored routes, written as YAML. */
export function statesOf(text: string): RouteState[] {
  const { routes, problems } = parseRoutes(text);
  if (problems.length > 0) throw new Error(JSON.stringify(problems, null, 2));
  return routes.map((route) => create(RouteStateSchema, draftRoute(route, undefined)));
}

/** The options of DIR/options.json when there are any. */
export function optionsOf(dir: string): RenderOptions {
  const file = join(dir, "options.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as RenderOptions) : {};
}

/** Renders DIR/route.yaml. */
export function renderFolder(dir: string): Rendering {
  return renderIstio(statesOf(readFileSync(join(dir, "route.yaml"), "utf8")), optionsOf(dir));
}
