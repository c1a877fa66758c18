import { createHash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Compression } from "../../gen/weir/v1/route_pb.ts";
import { incompressible } from "../../route/index.ts";
import { defined } from "../manifest.ts";

const typePrefix = "type.googleapis.com/envoy.extensions";
const defaultMinBytes = 1024;
const defaultContentTypes = ["application/json"];

/** Envoy's library per algorithm; fast levels, for answers made while the client waits. */
const libraries: Record<string, { name: string; config: JsonObject }> = {
  gzip: {
    name: "gzip",
    config: {
      "@type": `${typePrefix}.compression.gzip.compressor.v3.Gzip`,
      memory_level: 5,
      window_bits: 15,
      compression_level: "COMPRESSION_LEVEL_3",
      chunk_size: 16384,
    },
  },
  br: {
    name: "brotli",
    config: {
      "@type": `${typePrefix}.compression.brotli.compressor.v3.Brotli`,
      quality: 4,
      window_bits: 18,
      chunk_size: 16384,
    },
  },
  zstd: {
    name: "zstd",
    config: {
      "@type": `${typePrefix}.compression.zstd.compressor.v3.Zstd`,
      compression_level: 3,
      chunk_size: 16384,
    },
  },
};

/** One of Envoy's own filters in a chain, off or on. */
export interface ChainFilter {
  /** Filter name; the same settings have the same name, wherever they are rendered. */
  name: string;
  /** Its settings where it works for all that comes by. */
  typedConfig: JsonObject;
  /** Its settings in a chain where only some routes have it on. Absent: typedConfig, disabled. */
  idleConfig?: JsonObject;
  /** What such a route carries. */
  onRoute: JsonObject;
}

/** A response with these headers is not compressed, even if the request accepts it. */
const veto: JsonObject = {
  matcher_list: {
    matchers: [
      {
        predicate: { or_matcher: { predicate: incompressible.map(says) } },
        on_match: {
          action: {
            name: "skip",
            typed_config: { "@type": `${typePrefix}.filters.common.matcher.action.v3.SkipFilter` },
          },
        },
      },
    ],
  },
};

function says({ header, value }: { header: string; value: string }): JsonObject {
  return {
    single_predicate: {
      input: {
        name: "response-header",
        typed_config: {
          "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpResponseHeaderMatchInput",
          header_name: header,
        },
      },
      value_match: { safe_regex: { google_re2: {}, regex: value } },
    },
  };
}

/** A route's configuration under which a compressor leaves every answer as it is. */
export const compressorOff: JsonObject = {
  "@type": `${typePrefix}.common.matching.v3.ExtensionWithMatcherPerRoute`,
  xds_matcher: {
    on_no_match: {
      action: {
        name: "skip",
        typed_config: { "@type": `${typePrefix}.filters.common.matcher.action.v3.SkipFilter` },
      },
    },
  },
};

/** A route's configuration that changes nothing about a compressor but that it is on. */
const compressorOn: JsonObject = {
  "@type": `${typePrefix}.common.matching.v3.ExtensionWithMatcherPerRoute`,
  xds_matcher: veto,
};

/**
 * Envoy's compressors for a route's settings, in order of preference. They read
 * the accept-encoding that the compression filter left; the last, which stands
 * nearest to the pods, hides it from them. Envoy weakens ETags from 1.38 on,
 * which is Istio 1.30's.
 */
export function compressorsOf(compression: Compression, weakensEtags = true): ChainFilter[] {
  const id = settingsId(compression);
  const last = compression.algorithms.length - 1;
  return compression.algorithms.map((algorithm, index) => {
    const library = libraries[algorithm];
    if (library === undefined) throw new Error(`no compressor for algorithm "${algorithm}"`);
    return {
      name: `weir.compressor.${library.name}.${id}`,
      typedConfig: {
        "@type": `${typePrefix}.common.matching.v3.ExtensionWithMatcher`,
        extension_config: {
          name: "envoy.filters.http.compressor",
          typed_config: {
            "@type": `${typePrefix}.filters.http.compressor.v3.Compressor`,
            response_direction_config: defined({
              common_config: {
                min_content_length: minBytes(compression),
                content_type: contentTypes(compression),
              },
              remove_accept_encoding_header: index === last ? true : undefined,
              // A range of a compressed answer is not that range of the answer.
              uncompressible_response_codes: [206],
              // A strong ETag is weakened rather than dropped where the proxy knows how.
              weaken_etag_on_compress: weakensEtags ? true : undefined,
            }),
            compressor_library: { name: library.name, typed_config: library.config },
          },
        },
        xds_matcher: veto,
      },
      onRoute: compressorOn,
    };
  });
}

function settingsId(compression: Compression): string {
  const settings = [compression.algorithms, minBytes(compression), contentTypes(compression)];
  return createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 8);
}

function minBytes(compression: Compression): number {
  return compression.minBytes ?? defaultMinBytes;
}

function contentTypes(compression: Compression): string[] {
  return compression.contentTypes.length > 0 ? compression.contentTypes : defaultContentTypes;
}
