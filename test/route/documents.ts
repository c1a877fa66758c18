import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { parseRoute } from "../../control/route/index.ts";

/** The example route as plain JSON, for tests to change. */
export function exampleDocument(): Record<string, never> & { spec: Record<string, unknown> } {
  return parse(readFileSync("examples/canary/route.yaml", "utf8"));
}

/** The example route. @throws when it is not right */
export const exampleRoute = (): InferenceRoute => messageOf(exampleDocument());

/** A route of the given variants (name -> weight) that is right in everything else. */
export function routeWith(weights: Record<string, unknown>): unknown {
  const document = exampleDocument();
  document.spec.variants = Object.entries(weights).map(([name, weight]) => ({ name, weight }));
  return document;
}

/** The same as a message. @throws when the document is not right */
export function messageWith(weights: Record<string, number>): InferenceRoute {
  return messageOf(routeWith(weights));
}

function messageOf(document: unknown): InferenceRoute {
  const { routes, problems } = parseRoute(document);
  const [route] = routes;
  if (!route) throw new Error(JSON.stringify(problems));
  return route;
}
