import { resolve } from "node:path";

/**
 * A Wasm filter as Envoy's HTTP connection manager takes it.
 * @param {string} module path of the .wasm
 * @param {string} configuration what it is configured with
 * @param {string} [vm] filters of one module and name share a VM
 */
export function wasmFilter(module, configuration, vm = "") {
  return {
    name: module,
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      config: {
        name: module,
        vm_config: {
          vm_id: vm,
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: resolve(module) } },
        },
        configuration: {
          "@type": "type.googleapis.com/google.protobuf.StringValue",
          value: configuration,
        },
      },
    },
  };
}
