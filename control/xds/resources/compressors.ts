import { createHash } from "node:crypto";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { BrotliSchema } from "../../gen/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.ts";
import { GzipSchema } from "../../gen/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.ts";
import { ZstdSchema } from "../../gen/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.ts";
import { CompressorSchema } from "../../gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.ts";
import type { HttpFilterSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { Compression, InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { pack } from "./common.ts";
import { unlessVetoed, vetoedOff, vetoedOn } from "./veto.ts";

/** Fast levels, for answers made while the client waits. */
const libraries: Record<string, { name: string; library: Any }> = {
  zstd: {
    name: "envoy.compression.zstd.compressor",
    library: library(ZstdSchema, { compressionLevel: 3 }),
  },
  br: {
    name: "envoy.compression.brotli.compressor",
    library: library(BrotliSchema, { quality: 4, windowBits: 18 }),
  },
  gzip: {
    name: "envoy.compression.gzip.compressor",
    library: library(GzipSchema, { memoryLevel: 5, windowBits: 15 }),
  },
};

function library<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return pack(schema, init);
}

type FilterInit = MessageInitShape<typeof HttpFilterSchema>;

/**
 * Envoy's compressors for all routes of a listener: one per algorithm and
 * settings, off unless a route turns it on. They stand behind Weir's filter,
 * which leaves in accept-encoding what they shall do, and they hide the header
 * from the pods.
 */
export function compressors(routes: readonly InferenceRoute[]): FilterInit[] {
  const filters = routes.flatMap((route) => compressorsOf(route.spec?.compression));
  return [...new Map(filters.map((filter) => [filter.name, filter])).values()];
}

/** Turns on a route's own compressors: its virtual host's configuration for them, by filter name. */
export function compressorsOn(route: InferenceRoute): Record<string, Any> {
  const on = vetoedOn();
  return Object.fromEntries(
    compressorsOf(route.spec?.compression).map(({ name }) => [name ?? "", on]),
  );
}

/** Turns compressors off for a route on a host where another one has them on. */
export function compressorsOff(names: readonly string[]): Record<string, Any> {
  const off = vetoedOff();
  return Object.fromEntries(names.map((name) => [name, off]));
}

function compressorsOf(compression: Compression | undefined): FilterInit[] {
  if (compression === undefined) return [];
  const { algorithms, contentTypes } = compression;
  const minContentLength = compression.minBytes ?? 1024;
  const contentType = contentTypes.length > 0 ? contentTypes : ["application/json"];
  const settings = createHash("sha256")
    .update(JSON.stringify([algorithms, minContentLength, contentType]))
    .digest("hex")
    .slice(0, 8);
  return algorithms.flatMap((algorithm, index) => {
    const known = libraries[algorithm];
    if (known === undefined) return [];
    const compressor = pack(CompressorSchema, {
      responseDirectionConfig: {
        // Each one reads the header as it comes by: only the last may take it away.
        removeAcceptEncodingHeader: index === algorithms.length - 1,
        commonConfig: { contentType, minContentLength },
        // A range of a compressed answer is not that range of the answer.
        uncompressibleResponseCodes: [206],
        // The bytes differ, so a strong ETag would lie; a weak one still says what is the same.
        weakenEtagOnCompress: true,
      },
      compressorLibrary: { name: known.name, typedConfig: known.library },
    });
    return {
      name: `weir.compressor.${algorithm}.${settings}`,
      disabled: true,
      configType: {
        case: "typedConfig",
        value: unlessVetoed("envoy.filters.http.compressor", compressor),
      },
    };
  });
}
