import { create } from "@bufbuild/protobuf";
import {
  type Applied,
  AppliedSchema,
  type Proxy,
  type RouteState,
} from "../gen/weir/v1/service_pb.ts";
import { resourceTypes } from "../xds/index.ts";
import type { ApiContext } from "./context.ts";

/**
 * How far the proxies are with a stored route: a proxy has it when it
 * acknowledged everything of a snapshot that holds the route as stored, and
 * its filters, where they report, report that snapshot's revision.
 */
export function appliedOf(
  name: string,
  state: RouteState,
  context: Pick<ApiContext, "fleet" | "published">,
): Applied {
  const proxies = context.fleet.list().filter(({ connected }) => connected);
  const behind = proxies.flatMap((proxy) => {
    const reason = lagOf(proxy, name, state, context);
    return reason === undefined ? [] : [{ node: proxy.node, reason }];
  });
  return create(AppliedSchema, {
    wanted: proxies.length,
    applied: proxies.length - behind.length,
    behind,
  });
}

function lagOf(
  proxy: Proxy,
  name: string,
  state: RouteState,
  { fleet, published }: Pick<ApiContext, "fleet" | "published">,
): string | undefined {
  const current = published();
  if (current === undefined || current.etags.get(name) !== state.etag) return "not pushed yet";
  const refused = proxy.resources.find(({ nackMessage }) => nackMessage !== "");
  if (refused) return `${refused.type} refused: ${refused.nackMessage}`;
  const waiting = resourceTypes.find(
    ({ name: type }) => !fleet.runs(proxy.node, type, current.snapshot[type].version),
  );
  if (waiting) return `waiting for ${waiting.name}`;
  return undefined;
}
