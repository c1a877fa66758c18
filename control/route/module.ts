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
  const limit = route?.spec?.rateLimit;
  const sources = [...(limit?.identity ?? []), ...(route?.spec?.canary?.stickyBy ?? [])];
  if (sources.some(({ source }) => source.case === "san")) return true;
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
