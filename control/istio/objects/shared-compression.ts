import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { hostGroups, routeName } from "../../route/index.ts";
import type { AttachPoint } from "../attach.ts";
import { type ChainFilter, compressorOff } from "./compressor.ts";

/** A patch of an EnvoyFilter, and the fields that ask for it. */
export interface Patch {
  patch: JsonObject;
  origin: string;
}

/**
 * Compressors at a gateway on hosts that several routes share. Which filters a
 * request meets is decided before its route is known: what any route of the host
 * turns on is on for the host, and off again for the routes that have it not.
 * @param filtersOf the compressors of a route there
 * @param ruleNames the names of a route's rules
 */
export function sharedCompression(
  { others, states }: AttachPoint,
  filtersOf: (route: InferenceRoute) => ChainFilter[],
  ruleNames: (route: InferenceRoute) => string[],
): Patch[] {
  const routes = [...states, ...others].flatMap(({ route }) => route ?? []);
  return hostGroups(routes).flatMap((group) => {
    const filters = group.selects ? group.routes.flatMap(filtersOf) : [];
    if (filters.length === 0) return [];
    const hosts = group.hosts.map((domainName) => ({
      patch: merged(
        "VIRTUAL_HOST",
        { domainName },
        Object.fromEntries(filters.map(({ name, onRoute }) => [name, onRoute])),
      ),
      origin: `spec.compression: on for ${domainName}, whose routes are told apart later`,
    }));
    const names = new Set(filters.map(({ name }) => name));
    const off = (route: InferenceRoute) => turnedOff(route, names, filtersOf(route), ruleNames);
    return [...hosts, ...group.routes.flatMap(off)];
  });
}

/** Turns off for the rules of a route what only other routes of its host have. */
function turnedOff(
  route: InferenceRoute,
  names: ReadonlySet<string>,
  own: readonly ChainFilter[],
  ruleNames: (route: InferenceRoute) => string[],
): Patch[] {
  const others = new Set(names);
  for (const { name } of own) others.delete(name);
  if (others.size === 0) return [];
  const off = Object.fromEntries([...others].map((name) => [name, compressorOff]));
  return ruleNames(route).map((name) => ({
    patch: merged("HTTP_ROUTE", { route: { name } }, off),
    origin: `spec.compression of others: off for ${name} of ${routeName(route)}`,
  }));
}

function merged(applyTo: string, vhost: JsonObject, configs: JsonObject): JsonObject {
  return {
    applyTo,
    match: { context: "GATEWAY", routeConfiguration: { vhost } },
    patch: { operation: "MERGE", value: { typed_per_filter_config: configs } },
  };
}
