import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SelectEntrySchema, SelectPolicySchema } from "../../gen/weir/v1/filter_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { asksModel, hostGroups, readsBodies } from "../hosts/groups.ts";
import { type Selection, selectionsOf, type TextMatch } from "../hosts/selection.ts";
import { filterCondition } from "./conditions.ts";

type SelectPolicyInit = MessageInitShape<typeof SelectPolicySchema>;

/** How much of a body is held until its model is known where nothing else is asked for. */
const usualBodyBytes = 1 << 20;

/**
 * The filter refuses bodies that grow too long before the proxy does, which would not say why. As much
 * may come at once as a connection may buffer, which is 1 MiB; so twice that.
 */
const spareBytes = 2 << 20;

/** Bytes of a body that a proxy may hold on a host of these routes; 0 where none asks for bodies. */
export function bodyLimit(routes: readonly InferenceRoute[]): number {
  return routes.some(readsBodies) ? Math.max(...routes.map(maxBodyBytesOf)) + spareBytes : 0;
}

function maxBodyBytesOf({ spec }: InferenceRoute): number {
  return spec?.models?.maxBodyBytes ?? usualBodyBytes;
}

/** Returns the routes with a host whose requests have to be told apart. */
export function selectedRoutes(routes: readonly InferenceRoute[]): Set<InferenceRoute> {
  return new Set(
    hostGroups(routes)
      .filter(({ selects }) => selects)
      .flatMap((group) => group.routes),
  );
}

/** How requests of a route are told from those of others on its hosts. */
export function selectPolicy(route: InferenceRoute): SelectPolicyInit {
  const models = route.spec?.models;
  const asks = asksModel(route);
  return {
    match: selectionsOf(route).map(entryOf),
    ...(readsBodies(route) ? { readsBody: true } : {}),
    ...(asks && models?.header ? { modelHeader: models.header } : {}),
    ...(models?.unreadable === "accept" ? { acceptsUnreadable: true } : {}),
    maxBodyBytes: maxBodyBytesOf(route),
  };
}

function entryOf({
  headers,
  method,
  model,
  path,
  rank,
}: Selection): MessageInitShape<typeof SelectEntrySchema> {
  return {
    rank,
    ...text(model, "model", "modelPrefix"),
    ...text(path, "path", "pathPrefix"),
    ...(method === undefined ? {} : { method }),
    headers: headers.map(filterCondition),
  };
}

function text(match: TextMatch | undefined, exact: string, prefix: string): Record<string, string> {
  if (match === undefined) return {};
  return { [match.kind === "exact" ? exact : prefix]: match.text };
}
