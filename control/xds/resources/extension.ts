import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from "../../gen/envoy/config/core/v3/extension_pb.ts";
import { WasmSchema } from "../../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.ts";
import { FailurePolicy } from "../../gen/envoy/extensions/wasm/v3/wasm_pb.ts";
import type { FilterFailure } from "../../route/index.ts";
import { milliseconds, pack } from "./common.ts";
import type { FilterCode } from "./options.ts";

/**
 * A worker loads a filter that trapped again this long after it last did, or up to half as much
 * later, at the next request; a first trap later than that costs no wait. It is Envoy's own
 * number, which Istio's proxies have too, as Istio has no field for it.
 */
const reloadIntervalMs = 1000;

/** Never FAIL_CLOSED: a trap must not cost a worker until someone restarts the proxy. */
const policies = {
  refuse: {
    failurePolicy: FailurePolicy.FAIL_RELOAD,
    reloadConfig: { backoff: { baseInterval: milliseconds(reloadIntervalMs) } },
  },
  pass: { failurePolicy: FailurePolicy.FAIL_OPEN },
} as const;

/**
 * A module of filters with its configuration. The code and everything else that
 * names the VM stays the same over changes of configuration, so a change
 * costs no compilation and keeps what the workers know.
 * @param failure what becomes of requests while it is away
 * @param vmId of a VM that nothing else shares, nor its shared data
 * @param holdsHeaders lets it hold a request's headers until it has read of the body
 */
export function wasmFilter(
  name: string,
  { wasm, config }: FilterCode,
  failure: FilterFailure,
  { vmId = "", holdsHeaders = false } = {},
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
        ...policies[failure],
        vm: {
          case: "vmConfig",
          value: {
            vmId,
            runtime: "envoy.wasm.runtime.v8",
            code: { specifier: { case: "local", value: { specifier } } },
          },
        },
        ...(holdsHeaders ? { allowOnHeadersStopIteration: true } : {}),
        configuration: pack(StringValueSchema, { value: config }),
      },
    }),
  });
}
