import type { RouteSpec } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";

/**
 * The filter module that some routes need: "weir" decides over request headers;
 * "weir-full" also follows streams to their end and listens to the pods and the
 * control service, for limits on requests in flight, overload and the fleet,
 * and knows certificates and schedulers' headers. A module that lacks something refuses a
 * configuration that asks for it.
 */
export type WasmModule = "weir" | "weir-full";

export function wasmModule(states: readonly RouteState[]): WasmModule {
  return states.some(needsFull) ? "weir-full" : "weir";
}

function needsFull({ route }: RouteState): boolean {
  const spec = route?.spec;
  return (
    spec !== undefined &&
    (tellsCertificates(spec) || limitsInFlight(spec) || followsShadow(spec) || remembers(spec) || excepts(spec))
  );
}

/** Tells services behind the pods, or charges diverted requests apart. */
function followsShadow({ shadow, rateLimit }: RouteSpec): boolean {
  return (
    shadow?.baggage === true ||
    shadow?.yield === true ||
    (shadow?.mode === "divert" && rateLimit !== undefined)
  );
}

/** Treats some clients or some times differently. */
function excepts({ compression }: RouteSpec): boolean {
  return compression?.brownout === true || (compression?.exceptions.length ?? 0) > 0;
}

/** Knows tenants or conversations that do not follow the weights. */
function remembers({ canary }: RouteSpec): boolean {
  return canary?.conversations !== undefined || Object.keys(canary?.pin ?? {}).length > 0;
}

/** Knows callers by their certificates. */
function tellsCertificates({ rateLimit, canary }: RouteSpec): boolean {
  const sources = [...(rateLimit?.identity ?? []), ...(canary?.stickyBy ?? [])];
  return sources.some(({ source }) => source.case === "san");
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

/** Path or URL of a module beside that of weir.wasm; as it is where it does not end so. */
export function besideWeir(path: string, module: WasmModule): string {
  return path.replace(/(^|\/)weir\.wasm$/, `$1${module}.wasm`);
}
