import type { RouteSpec } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";

/**
 * The filter module that some routes need: "weir" decides over request headers;
 * "weir-full" does that and follows streams to their end, which limits on
 * requests in flight take. A module that lacks something refuses a
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
    (limitsInFlight(spec) || followsShadow(spec) || remembers(spec) || excepts(spec))
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

function limitsInFlight({ rateLimit: limit }: RouteSpec): boolean {
  if (limit === undefined) return false;
  return (
    limit.concurrent !== undefined ||
    Object.values(limit.tiers).some(({ concurrent }) => concurrent !== undefined)
  );
}

/** Path or URL of a module beside that of weir.wasm; as it is where it does not end so. */
export function besideWeir(path: string, module: WasmModule): string {
  return path.replace(/(^|\/)weir\.wasm$/, `$1${module}.wasm`);
}
