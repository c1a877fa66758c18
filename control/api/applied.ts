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
    const lag = lagOf(proxy, name, state, context);
    return lag === undefined ? [] : [{ node: proxy.node, refused: false, ...lag }];
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
): { reason: string; refused?: true } | undefined {
  const current = published();
  if (current === undefined || current.etags.get(name) !== state.etag)
    return { reason: "not pushed yet" };
  const refused = proxy.resources.find(
    // What was refused before the newest answer is no longer what the proxy is asked to run.
    ({ nackMessage, nackedVersion, sentVersion }) =>
      nackMessage !== "" && nackedVersion === sentVersion,
  );
  if (refused) return { reason: `${refused.type} refused: ${refused.nackMessage}`, refused: true };
  const first = current.refused();
  if (first && first.node !== proxy.node)
    return { reason: `not sent to it: ${first.node} refused ${first.type}: ${first.message}` };
  const waiting = resourceTypes.find(
    ({ name: type }) => !fleet.runs(proxy.node, type, current.snapshot[type].version),
  );
  if (waiting) return { reason: `waiting for ${waiting.name}` };
  // Filters that report say what they run, which is more than an acknowledgement.
  if (proxy.reportedRevision !== "" && proxy.reportedRevision !== current.revision)
    return { reason: `reports revision ${proxy.reportedRevision}, not ${current.revision}` };
  return undefined;
}
