import type { MessageJsonType } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import type {
  ListRolloutsResponseJson,
  RolloutProgressJson,
  RolloutService,
  RolloutStateJson,
  WatchRolloutResponseJson,
} from "../gen/weir/v1/rollout_pb.ts";
import type { InferenceRouteJson, VariantJson } from "../gen/weir/v1/route_pb.ts";
import type {
  AuditEntryJson,
  AuditService,
  FleetService,
  GetRouteResponseJson,
  ListAuditResponseJson,
  ListProxiesResponseJson,
  ProxyJson,
  RouteService,
  RouteStateJson,
  WatchRouteResponseJson,
} from "../gen/weir/v1/service_pb.ts";
import type { SignalService } from "../gen/weir/v1/signals_pb.ts";

/**
 * What the page, which is JavaScript, sends and is answered: the API's messages as JSON, which
 * leaves out what is zero or empty. `npm run types` holds the page to it.
 */

interface Services {
  RouteService: typeof RouteService;
  RolloutService: typeof RolloutService;
  FleetService: typeof FleetService;
  AuditService: typeof AuditService;
  SignalService: typeof SignalService;
}
type MethodsOf<Name extends keyof Services> =
  Services[Name] extends GenService<infer Methods> ? Methods : never;

/** Every method of the API, as "RouteService/ListRoutes". */
export type Method = {
  [Name in keyof Services]: `${Name}/${Capitalize<keyof MethodsOf<Name> & string>}`;
}[keyof Services];
type Described<Called extends Method> =
  Called extends `${infer Name extends keyof Services}/${infer Rpc}`
    ? MethodsOf<Name>[Uncapitalize<Rpc> & keyof MethodsOf<Name>]
    : never;

export type RequestOf<Called extends Method> = MessageJsonType<Described<Called>["input"]>;
export type AnswerOf<Called extends Method> = Called extends keyof Checked
  ? Checked[Called]
  : MessageJsonType<Described<Called>["output"]>;

/** A message of which more is known: `Known` names fields that it has, and their narrower types. */
type With<
  Json,
  Known extends {
    [Field in keyof Known]: Field extends keyof Json ? NonNullable<Json[Field]> : never;
  },
> = Omit<Json, keyof Known> & Known;

type JsonOf<Json, Field extends keyof Json> = NonNullable<Json[Field]>;

/** Of what is stored the checks hold: fields that are required are there, and a number is one. */
type Finite<Json> = Json extends "NaN" | "Infinity" | "-Infinity"
  ? never
  : Json extends object
    ? { [Field in keyof Json]: Finite<Json[Field]> }
    : Json;
type StoredRoute = Finite<InferenceRouteJson>;
type StoredRollout = Finite<JsonOf<RolloutStateJson, "rollout">>;

export type Variant = With<Finite<VariantJson>, { name: string }>;
export type Route = With<
  StoredRoute,
  {
    metadata: With<JsonOf<StoredRoute, "metadata">, { name: string }>;
    spec: With<JsonOf<StoredRoute, "spec">, { hosts: string[]; variants: Variant[] }>;
  }
>;
export type RouteState = With<RouteStateJson, { route: Route; etag: string }>;

export type RolloutSpec = With<
  JsonOf<StoredRollout, "spec">,
  { canary: string; stable: string; steps: JsonOf<JsonOf<StoredRollout, "spec">, "steps"> }
>;
export type RolloutState = With<
  Finite<Omit<RolloutStateJson, "verdicts">> & Pick<RolloutStateJson, "verdicts">,
  {
    rollout: With<
      StoredRollout,
      { metadata: With<JsonOf<StoredRollout, "metadata">, { name: string }>; spec: RolloutSpec }
    >;
    etag: string;
    phase: string;
    started: string;
  }
>;
export type Progress = With<RolloutProgressJson, { state: RolloutState }>;
export type AuditEntry = With<
  AuditEntryJson,
  {
    sequence: string;
    at: string;
    action: string;
    before?: RouteState;
    after?: RouteState;
    rolloutAfter?: RolloutState;
  }
>;
export type Proxy = With<ProxyJson, { node: string }>;

/** Answers whose messages are of what is stored, or have a name at least. */
interface Checked {
  "RouteService/GetRoute": With<GetRouteResponseJson, { state: RouteState }>;
  "RouteService/WatchRoute": With<WatchRouteResponseJson, { state?: RouteState }>;
  "RolloutService/WatchRollout": With<WatchRolloutResponseJson, { progress?: Progress }>;
  "RolloutService/ListRollouts": With<ListRolloutsResponseJson, { rollouts?: Progress[] }>;
  "AuditService/ListAudit": With<ListAuditResponseJson, { entries?: AuditEntry[] }>;
  "FleetService/ListProxies": With<ListProxiesResponseJson, { proxies?: Proxy[] }>;
}
