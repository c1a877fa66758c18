import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOptionSchema,
} from "../../gen/envoy/config/core/v3/base_pb.ts";
import type {
  RouteSchema,
  VirtualHostSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import { FaultSchema, type InferenceRoute, type RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations } from "../../gen/weir/v1/traffic_pb.ts";
import {
  answerHeaders,
  bodyLimit,
  chosenRulesOf,
  type HostGroup,
  type Rule,
  routeName,
  rulesOf,
} from "../../route/index.ts";
import { compressorsOff, compressorsOn } from "./compressors.ts";
import { connectionLimitName, connectionLimitOnRoute } from "./connection-limit.ts";
import { corsOnRoute } from "./cors.ts";
import { exceptedEntries, type RouteFields } from "./except.ts";
import { faultFilterName, faultOnRoute } from "./fault.ts";
import { methodIn } from "./method.ts";
import { routeEntry } from "./route-entry.ts";
import { selectOn } from "./select.ts";

type RouteInit = MessageInitShape<typeof RouteSchema>;
type VirtualHostInit = MessageInitShape<typeof VirtualHostSchema>;

/** What a route wants of its answers and requests, in an entry or in a virtual host of its own. */
interface Settings {
  requestHeadersToAdd: MessageInitShape<typeof HeaderValueOptionSchema>[];
  requestHeadersToRemove: string[];
  responseHeadersToAdd: MessageInitShape<typeof HeaderValueOptionSchema>[];
  responseHeadersToRemove: string[];
  typedPerFilterConfig: Record<string, Any>;
}

/** The virtual host of some hosts, whose requests a filter gives to one of their routes where they have several. */
export function virtualHost(group: HostGroup): VirtualHostInit {
  const [only] = group.routes;
  return only === undefined || group.selects ? sharedHost(group) : ownHost(only, group.hosts);
}

function ownHost(route: InferenceRoute, hosts: string[]): VirtualHostInit {
  const { typedPerFilterConfig, ...settings } = settingsOf(route);
  return {
    name: routeName(route),
    domains: hosts,
    ...settings,
    typedPerFilterConfig: {
      ...compressorsOn(route),
      ...corsOnRoute(route.spec as RouteSpec),
      ...typedPerFilterConfig,
    },
    routes: [notAllowed, ...entriesOf(route)],
  };
}

/**
 * A host of several routes. Which filters a request meets is decided before its route is known, so all
 * that any route turns on is on; the entry of the route then turns off what is not its own.
 */
function sharedHost({ hosts, rest, routes }: HostGroup): VirtualHostInit {
  const [first] = routes as [InferenceRoute];
  const compressing = Object.assign({}, ...routes.map(compressorsOn)) as Record<string, Any>;
  const off = compressorsOff(Object.keys(compressing));
  const held = bodyLimit(routes);
  const withOwn = (entries: readonly RouteFields[], route: InferenceRoute) => {
    const settings = entrySettings(route, off);
    return entries.map((entry) => withBodyLimit(withSettings(entry, settings), held));
  };
  return {
    name: `shared:${hosts[0]}`,
    domains: hosts,
    ...(held > 0 ? { requestBodyBufferLimit: BigInt(held) } : {}),
    typedPerFilterConfig: {
      ...compressing,
      // It is the same in all of them: a browser asks before a route is chosen.
      ...corsOnRoute(first.spec as RouteSpec),
      ...selectOn,
    },
    routes: [
      notAllowed,
      ...routes.flatMap((route) => withOwn(entriesFor(route, chosenRulesOf(route)), route)),
      ...(rest ? withOwn(entriesOf(rest), rest) : [withBodyLimit(notRouted(first), held)]),
    ],
  };
}

/** An entry's own limit must not be below what is held before anyone knows which entry it is. */
function withBodyLimit(entry: RouteFields, held: number): RouteFields {
  const own = Number(entry.requestBodyBufferLimit ?? 0);
  return own > 0 ? { ...entry, requestBodyBufferLimit: BigInt(Math.max(own, held)) } : entry;
}

/** What the entries of a route have on a shared host. @param off compressors of the host, turned off */
function entrySettings(route: InferenceRoute, off: Record<string, Any>): Settings {
  const { typedPerFilterConfig, ...settings } = settingsOf(route);
  return {
    ...settings,
    typedPerFilterConfig: { ...off, ...compressorsOn(route), ...typedPerFilterConfig },
  };
}

function withSettings(entry: RouteFields, settings: Settings): RouteFields {
  return {
    ...entry,
    ...settings,
    requestHeadersToRemove: [
      ...(entry.requestHeadersToRemove ?? []),
      ...settings.requestHeadersToRemove,
    ],
    responseHeadersToAdd: [...(entry.responseHeadersToAdd ?? []), ...settings.responseHeadersToAdd],
    typedPerFilterConfig: { ...settings.typedPerFilterConfig, ...entry.typedPerFilterConfig },
  };
}

function entriesOf(route: InferenceRoute): RouteFields[] {
  const entries = entriesFor(route, rulesOf(route));
  return [...exceptedEntries(route, entries.at(-1) as RouteFields), ...entries];
}

function entriesFor(route: InferenceRoute, rules: readonly Rule[]): RouteFields[] {
  return rules.map((rule) => routeEntry(route, rule));
}

function settingsOf({ spec }: InferenceRoute): Settings {
  const { request, response } = spec?.headers ?? {};
  const limit = spec?.rateLimit?.perConnection;
  return {
    requestHeadersToAdd: added(request),
    requestHeadersToRemove: request?.remove ?? [],
    responseHeadersToAdd: added(response),
    responseHeadersToRemove: [
      // A pod must not be able to speak in Weir's name.
      ...answerHeaders(spec as RouteSpec),
      ...(response?.remove ?? []),
    ],
    typedPerFilterConfig: limit ? { [connectionLimitName]: connectionLimitOnRoute(limit) } : {},
  };
}

function added(
  operations: HeaderOperations | undefined,
): MessageInitShape<typeof HeaderValueOptionSchema>[] {
  const option =
    (appendAction: AppendAction) =>
    ([key, value]: [string, string]) => ({ header: { key, value }, appendAction });
  return [
    ...Object.entries(operations?.set ?? {}).map(option(AppendAction.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...Object.entries(operations?.add ?? {}).map(option(AppendAction.APPEND_IF_EXISTS_OR_ADD)),
  ];
}

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Other methods, such as TRACE, which shows a client's headers to whom it reaches, do not reach the pods. */
const notAllowed: RouteInit = {
  name: "method-not-allowed",
  match: {
    pathSpecifier: { case: "prefix", value: "/" },
    headers: [{ ...methodIn(methods), invertMatch: true }],
  },
  action: { case: "directResponse", value: { status: 405 } },
  responseHeadersToAdd: [{ header: { key: "allow", value: methods.join(", ") } }],
};

/**
 * Answers 404. Without it no filter would see the requests of a host that no entry takes as they come,
 * and with a direct response Envoy would hold no more of a body than it does for any host.
 */
function notRouted(route: InferenceRoute): RouteFields {
  const rule = rulesOf(route).at(-1) as Rule;
  const abort = create(FaultSchema, { abort: { percent: 100, httpStatus: 404 } });
  return {
    ...routeEntry(route, { ...rule, name: "no-route", drill: false }),
    typedPerFilterConfig: { [faultFilterName]: faultOnRoute(abort) },
  };
}
