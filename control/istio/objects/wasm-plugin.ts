import type { AttachPoint } from "../attach.ts";
import { defined, type Manifest, metadataFor } from "../manifest.ts";
import { attachment, type FilterCode, filterOrigin, wasm } from "./traffic-extension.ts";

/** The WasmPlugin of an attach point, for Istio before 1.30, which has no TrafficExtension. */
export function wasmPlugin(point: AttachPoint, code: FilterCode): Manifest {
  return {
    object: {
      apiVersion: "extensions.istio.io/v1alpha1",
      kind: "WasmPlugin",
      metadata: metadataFor(point.name, point.namespace, point.routes),
      spec: defined({
        ...attachment(point),
        phase: "UNSPECIFIED_PHASE",
        priority: code.priority,
        ...wasm(code),
      }),
    },
    origins: [
      { path: [], text: filterOrigin(point, "WasmPlugin") },
      { path: ["spec", "pluginConfig"], text: code.origin },
    ],
  };
}
