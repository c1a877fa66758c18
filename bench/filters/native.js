// Weir's four header decisions by Envoy's own filters. A header that one of them
// writes does not pick the route again, as a Wasm or Lua filter's does: what a
// route is to see must be decided by other means there.

const filters = "type.googleapis.com/envoy.extensions.filters.http";
const matching = "type.googleapis.com/envoy.extensions.matching";

/** @param {string} name @param {object} config */
const filter = (name, config) => ({ name, typed_config: config });

/** @param {object[]} mutations */
const headerMutation = (mutations) => ({
  "@type": `${filters}.header_mutation.v3.HeaderMutation`,
  mutations: { request_mutations: mutations },
});
/** @param {string} key @param {string} value */
const set = (key, value) => ({
  append: { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" },
});

const everyone = { default_value: { numerator: 100, denominator: "HUNDRED" } };
/** @param {number} perSecond @param {number} burst */
const bucket = (perSecond, burst) => ({
  max_tokens: burst,
  tokens_per_fill: perSecond,
  fill_interval: "1s",
});

/** One bucket for tenant acme, one for all others. */
const rateLimit = filter("rate-limit", {
  "@type": `${filters}.local_ratelimit.v3.LocalRateLimit`,
  stat_prefix: "bench",
  filter_enabled: everyone,
  filter_enforced: everyone,
  token_bucket: bucket(5, 10),
  always_consume_default_token_bucket: false,
  descriptors: [
    { entries: [{ key: "tenant", value: "acme" }], token_bucket: bucket(1_000_000, 1_000_000) },
  ],
  rate_limits: [
    { actions: [{ request_headers: { header_name: "x-tenant-id", descriptor_key: "tenant" } }] },
  ],
});

/** No client says for itself what only Weir may say. */
const claims = filter(
  "claims",
  headerMutation(
    ["x-weir-variant", "x-weir-tenant", "x-weir-tier", "x-shadow-mode", "x-traffic-tag"].map(
      (name) => ({ remove: name }),
    ),
  ),
);

export const compressor = filter("compressor", {
  "@type": `${filters}.compressor.v3.Compressor`,
  response_direction_config: { remove_accept_encoding_header: true },
  compressor_library: {
    name: "gzip",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip",
    },
  },
});

/** @param {string} name @param {object} matcher */
const composite = (name, matcher) =>
  filter(name, {
    "@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    extension_config: filter(name, { "@type": `${filters}.composite.v3.Composite` }),
    xds_matcher: matcher,
  });
/** @param {string} name @param {object[]} mutations @param {object} [sample] */
const mutate = (name, mutations, sample) => ({
  action: filter(name, {
    "@type": `${filters}.composite.v3.ExecuteFilterAction`,
    typed_config: filter(name, headerMutation(mutations)),
    ...(sample ? { sample_percent: sample } : {}),
  }),
});
/** @param {string} name */
const input = (name) =>
  filter(name, {
    "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
    header_name: name,
  });
/** @param {string} name @param {object} match */
const has = (name, match) => ({ single_predicate: { input: input(name), value_match: match } });

/** The same user gets the same variant: by hash, one in ten the canary. */
const variant = composite("variant", {
  matcher_list: {
    matchers: [
      {
        predicate: {
          single_predicate: {
            input: input("x-user-id"),
            custom_match: filter("share", {
              "@type": `${matching}.input_matchers.consistent_hashing.v3.ConsistentHashing`,
              threshold: 9000,
              modulo: 10000,
            }),
          },
        },
        on_match: mutate("canary", [set("x-weir-variant", "canary")]),
      },
    ],
  },
  on_no_match: mutate("stable", [set("x-weir-variant", "stable")]),
});

const tag = composite("tag", {
  matcher_list: {
    matchers: [
      {
        predicate: has("x-never", { exact: "never" }),
        on_match: mutate("untagged", []),
      },
    ],
  },
  on_no_match: mutate("tagged", [set("x-shadow-mode", "true"), set("x-traffic-tag", "bench")], {
    default_value: { numerator: 1, denominator: "HUNDRED" },
  }),
});

/** What must not be compressed says so by losing its accept-encoding. */
const plain = composite("plain", {
  matcher_list: {
    matchers: [
      {
        predicate: {
          or_matcher: {
            predicate: [
              has("cookie", { contains: "=" }),
              has("range", { prefix: "bytes" }),
              has("upgrade", { contains: "e" }),
              has(":method", { exact: "HEAD" }),
              has("content-type", { prefix: "application/grpc" }),
              has("accept", { contains: "text/event-stream" }),
              has("cache-control", { contains: "no-transform" }),
            ],
          },
        },
        on_match: mutate("identity", [{ remove: "accept-encoding" }]),
      },
    ],
  },
});

/** The half of the work that each takes one plain filter. */
export const nativeHalf = [rateLimit, claims, compressor];

/** All of it. */
export const nativeFull = [rateLimit, claims, tag, variant, plain, compressor];
