import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { hostGroups } from "../hosts/groups.ts";
import { namedRanges } from "./caller-sources.ts";

/**
 * The modules of filters, by name: build/NAME.wasm. "weir" decides over request
 * headers. "weir-full" does the same and also follows streams to their end and
 * listens to the pods and the control service, for limits on requests in flight,
 * overload and the fleet; it knows certificates, schedulers' headers, baggage,
 * ranges of addresses, callers to refuse, pinned tenants, conversations, and clients and times that are exceptions.
 * "token-limit" reads bodies. "route-select" tells the requests of routes on one host apart. One that lacks something refuses a configuration
 * that asks for it.
 */
export type FilterModule = "weir" | "weir-full" | "token-limit" | "route-select";

/** The module that decides over the headers of some routes. */
export function headerModule(states: readonly RouteState[]): "weir" | "weir-full" {
  const routes = states.flatMap(({ route }) => route ?? []);
  return states.some(needsFull) || sharesHosts(routes) ? "weir-full" : "weir";
}

/** Whether a route asks for what token-limit.wasm does: limits of tokens, streams measured, or shadow requests clamped. */
export function countsTokens({ rateLimit, shadow, tokens }: RouteSpec): boolean {
  const limits = Object.values(rateLimit?.tiers ?? {});
  return (
    tokens?.measure === true ||
    limits.some((tier) => tier.tokensPerMinute !== undefined) ||
    (shadow?.mode === "divert" && shadow.maxTokens !== undefined)
  );
}

/** Several routes answer for one host. */
function sharesHosts(routes: readonly InferenceRoute[]): boolean {
  return hostGroups(routes).some((group) => group.routes.length > 1);
}

function needsFull({ route }: RouteState): boolean {
  const spec = route?.spec;
  return (
    spec !== undefined &&
    (tellsCertificates(spec) ||
      limitsInFlight(spec) ||
      refusesCallers(spec) ||
      followsShadow(spec) ||
      remembers(spec) ||
      excepts(spec) ||
      tellsRanges(spec))
  );
}

/** Tells services behind the pods, or charges diverted requests apart. */
function followsShadow({ shadow, rateLimit }: RouteSpec): boolean {
  return (
    shadow?.baggage === true ||
    shadow?.yield === true ||
    (shadow?.match.length ?? 0) > 1 ||
    (shadow?.mode === "divert" && rateLimit !== undefined)
  );
}

/** Treats some clients or some times differently. */
function excepts({ compression }: RouteSpec): boolean {
  return compression?.brownout === true || (compression?.exceptions.length ?? 0) > 0;
}

/** Knows tenants or conversations that do not follow the weights. */
function remembers({ canary }: RouteSpec): boolean {
  return (
    canary?.conversations !== undefined ||
    canary?.hold !== undefined ||
    Object.keys(canary?.pin ?? {}).length > 0
  );
}

/** Knows callers by their certificates. */
function tellsCertificates({ rateLimit, canary }: RouteSpec): boolean {
  const sources = [...(rateLimit?.identity ?? []), ...(canary?.stickyBy ?? [])];
  return sources.some(({ source }) => source.case === "san");
}

/** Knows tenants by ranges of addresses. */
function tellsRanges({ rateLimit }: RouteSpec): boolean {
  return rateLimit !== undefined && namedRanges(rateLimit).length > 0;
}

function limitsInFlight({ rateLimit: limit }: RouteSpec): boolean {
  if (limit === undefined) return false;
  return (
    limit.concurrent !== undefined ||
    limit.overload !== undefined ||
    limit.fleet !== undefined ||
    limit.forward?.scheduler === true ||
    Object.values(limit.tiers).some(
      ({ concurrent, objective }) => concurrent !== undefined || objective !== "",
    )
  );
}

/** Refuses callers for who they are. */
function refusesCallers({ rateLimit: limit }: RouteSpec): boolean {
  return (
    limit?.unknownCaller === "refuse" ||
    Object.values(limit?.tiers ?? {}).some(({ forbidden }) => forbidden)
  );
}

/**
 * Path or URL of a module beside that of weir.wasm. Code of another name, as
 * images are, is taken as it is for decisions over headers, where it may well be
 * weir-full.wasm; undefined: no one can tell where token-limit.wasm and route-select.wasm are.
 */
export function besideWeir(weir: string, module: FilterModule): string | undefined {
  if (/(^|\/)weir\.wasm$/.test(weir)) return weir.replace(/weir\.wasm$/, `${module}.wasm`);
  return module === "token-limit" || module === "route-select" ? undefined : weir;
}
