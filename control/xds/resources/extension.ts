import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from "../../gen/envoy/config/core/v3/extension_pb.ts";
import { WasmSchema } from "../../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.ts";
import { FailurePolicy } from "../../gen/envoy/extensions/wasm/v3/wasm_pb.ts";
import { pack } from "./common.ts";
import type { FilterCode } from "./options.ts";

/**
 * A module of filters with its configuration. The code and everything else that
 * names the VM stays the same over changes of configuration, so a change
 * costs no compilation and keeps what the workers know.
 * @param vmId of a VM that nothing else shares, nor its shared data
 */
export function wasmFilter(
  name: string,
  { wasm, config }: FilterCode,
  vmId = "",
): TypedExtensionConfig {
  const specifier =
    "bytes" in wasm
      ? { case: "inlineBytes" as const, value: wasm.bytes }
      : { case: "filename" as const, value: wasm.file };
  return create(TypedExtensionConfigSchema, {
    name,
    typedConfig: pack(WasmSchema, {
      config: {
        name,
        rootId: name,
        // A trap must not leave a worker without limits until someone restarts it.
        failurePolicy: FailurePolicy.FAIL_RELOAD,
        vm: {
          case: "vmConfig",
          value: {
            vmId,
            runtime: "envoy.wasm.runtime.v8",
            code: { specifier: { case: "local", value: { specifier } } },
          },
        },
        configuration: pack(StringValueSchema, { value: config }),
      },
    }),
  });
}
