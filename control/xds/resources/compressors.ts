import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { BrotliSchema } from "../../gen/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.ts";
import { GzipSchema } from "../../gen/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.ts";
import { ZstdSchema } from "../../gen/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.ts";
import { CompressorSchema } from "../../gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.ts";
import type { HttpFilterSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { pack } from "./common.ts";

const libraries: readonly { algorithm: string; name: string; schema: DescMessage }[] = [
  { algorithm: "zstd", name: "envoy.compression.zstd.compressor", schema: ZstdSchema },
  { algorithm: "br", name: "envoy.compression.brotli.compressor", schema: BrotliSchema },
  { algorithm: "gzip", name: "envoy.compression.gzip.compressor", schema: GzipSchema },
];

/**
 * Envoy's compressors for the algorithms that any route asks for. They stand
 * behind Weir's filter, which leaves in accept-encoding what they shall do, and
 * they hide the header from the pods. What one listener has in common is the
 * union of the content types and the smallest size.
 */
export function compressors(
  routes: readonly InferenceRoute[],
): MessageInitShape<typeof HttpFilterSchema>[] {
  const policies = routes.flatMap((route) => route.spec?.compression ?? []);
  const algorithms = new Set(policies.flatMap((policy) => policy.algorithms));
  const contentType = [
    ...new Set(
      policies.flatMap(({ contentTypes }) =>
        contentTypes.length > 0 ? contentTypes : ["application/json"],
      ),
    ),
  ].sort();
  const minContentLength = Math.min(...policies.map((policy) => policy.minBytes ?? 1024));
  return libraries
    .filter(({ algorithm }) => algorithms.has(algorithm))
    .map(({ algorithm, name, schema }, index, all) => ({
      name: `weir.compressor.${algorithm}`,
      configType: {
        case: "typedConfig",
        value: pack(CompressorSchema, {
          responseDirectionConfig: {
            // Each one reads the header as it comes by: only the last may take it away.
            removeAcceptEncodingHeader: index === all.length - 1,
            commonConfig: { contentType, minContentLength },
          },
          compressorLibrary: { name, typedConfig: pack(schema, {}) },
        }),
      },
    }));
}
