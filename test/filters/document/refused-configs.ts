import { fullConfig } from "../module.ts";

/** The full configuration after an edit. */
export function edited(edit: (route: any, config: any) => void): string {
  const config = fullConfig();
  edit(config.routes[0], config);
  return JSON.stringify(config);
}

const long = (text: string, times: number) => text.repeat(times);

/** Configurations that the filters refuse: name, text, and what their one log line says. */
export const refused: [string, string | Buffer, string][] = [
  ["nothing", "", "the document must be an object"],
  ["white space", "  \n", "the document must be an object"],
  ["null", "null", "the document must be an object"],
  ["a list", "[]", "the document must be an object"],
  ["no revision", "{}", "the document has no revision"],
  ["half a document", '{"revision":"r', "revision is not a valid string"],
  ["text after the end", '{"revision":"r"} x', "the document has text after its end"],
  ["a trailing comma", '{"revision":"r",}', "revision is not valid JSON"],
  ["single quotes", "{'revision':'r'}", "the document is not valid JSON"],
  [
    "a number with a leading zero",
    edited((_, c) => {
      c.report = "@";
    }).replace('"@"', '{"cluster":"c","authority":"a","intervalMs":0100}'),
    "report.intervalMs must be a number",
  ],
  [
    "NaN",
    edited((r) => {
      r.rateLimit.tiers.gold.burst = "@";
    }).replace('"@"', "NaN"),
    "routes[0].rateLimit.tiers.gold.burst must be a number",
  ],
  [
    "nesting beyond 32",
    edited((r) => {
      r.tokenLimit = "@";
    }).replace('"@"', `${long("[", 40)}${long("]", 40)}`),
    "is nested deeper than 32",
  ],
  ["nesting of 10,000", `{"revision":"r","routes":${long("[", 10_000)}`, "must be an object"],
  [
    "over a megabyte",
    `{"revision":"r"${long(" ", 1 << 20)}}`,
    "the document is over 1048576 bytes",
  ],
  ["a name twice", '{"revision":"a","revision":"b"}', "revision is there twice"],
  [
    "a tenant twice",
    edited((r) => {
      r.rateLimit.tenants = "@";
    }).replace('"@"', '{"a":"gold","a":"bronze"}'),
    "routes[0].rateLimit.tenants.a is there twice",
  ],
  [
    "an unknown field at the top",
    edited((_, c) => {
      c.route = [];
    }),
    "route is an unknown field",
  ],
  [
    "an unknown field in a route",
    edited((r) => {
      r.ratelimit = {};
    }),
    "routes[0].ratelimit is an unknown field",
  ],
  [
    "an unknown field in a member",
    edited((r) => {
      r.rateLimit.tiers.gold.bursts = 1;
    }),
    "routes[0].rateLimit.tiers.gold.bursts is an unknown field",
  ],
  [
    "a negative rate",
    edited((r) => {
      r.rateLimit.tiers.gold.requestsPerSecond = -1;
    }),
    "routes[0].rateLimit.tiers.gold.requestsPerSecond is out of range",
  ],
  [
    "a rate of 1e308",
    edited((r) => {
      r.rateLimit.tiers.gold.requestsPerSecond = 1e308;
    }),
    "requestsPerSecond is out of range",
  ],
  [
    "a rate as text",
    edited((r) => {
      r.rateLimit.tiers.gold.requestsPerSecond = "10";
    }),
    "requestsPerSecond must be a number",
  ],
  [
    "half a request of burst",
    edited((r) => {
      r.rateLimit.tiers.gold.burst = 200.5;
    }),
    "burst must be a whole number",
  ],
  [
    "a burst of 2^53 + 1",
    edited((r) => {
      r.rateLimit.tiers.gold.burst = "@";
    }).replace('"@"', "9007199254740993"),
    "burst is out of range",
  ],
  [
    "a default tier that is not there",
    edited((r) => {
      r.rateLimit.default = "platinum";
    }),
    "routes[0].rateLimit names a tier that tiers does not have",
  ],
  [
    "buckets that sum to 9,999",
    edited((r) => {
      r.canary.buckets[0].count = 8999;
    }),
    "routes[0].canary.buckets must have counts that sum to 10000",
  ],
  [
    "a negative bucket",
    edited((r) => {
      r.canary.buckets[0].count = -1;
    }),
    "routes[0].canary.buckets[0].count is out of range",
  ],
  [
    "a bucket of no one",
    edited((r) => {
      r.canary.buckets[1].variant = "green";
    }),
    "has a bucket of a variant that variants does not have",
  ],
  [
    "a variant twice",
    edited((r) => {
      r.canary.variants = ["a", "a"];
    }),
    "routes[0].canary.variants[1] is named twice",
  ],
  [
    "a variant that is a path",
    edited((r) => {
      r.canary.variants = ["../a"];
    }),
    "routes[0].canary.variants[0] must be a DNS-1123 label",
  ],
  [
    "a variant of 64 letters",
    edited((r) => {
      r.canary.variants = [long("a", 64)];
    }),
    "routes[0].canary.variants[0] is too long",
  ],
  [
    "an upper-case header",
    edited((r) => {
      r.canary.stickyBy = [{ header: "X-User" }];
    }),
    "routes[0].canary.stickyBy[0].header must be a lower-case header name",
  ],
  [
    "two sources in one",
    edited((r) => {
      r.canary.stickyBy = [{ header: "a", apiKey: true }];
    }),
    "stickyBy[0] must have exactly one of header, apiKey and sourceIp",
  ],
  [
    "a percentage of 101",
    edited((r) => {
      r.shadow.percent = 101;
    }),
    "routes[0].shadow.percent is out of range",
  ],
  [
    "an unknown algorithm",
    edited((r) => {
      r.compression.algorithms = ["deflate"];
    }),
    "routes[0].compression.algorithms[0] must be one of zstd, br and gzip",
  ],
  [
    "an algorithm twice",
    edited((r) => {
      r.compression.algorithms = ["gzip", "gzip"];
    }),
    "routes[0].compression.algorithms[1] is named twice",
  ],
  [
    "secrets of an unknown kind",
    edited((r) => {
      r.compression.secrets = "sometimes";
    }),
    "routes[0].compression.secrets must be never, same-origin or allow",
  ],
  [
    "a negative body",
    edited((r) => {
      r.shadow.maxBodyBytes = -1;
    }),
    "routes[0].shadow.maxBodyBytes is out of range",
  ],
  [
    "two routes for one host",
    edited((r, c) => {
      c.routes.push({ name: "b", hosts: ["chat.example.com"] });
      void r;
    }),
    "has two routes for one host",
  ],
  [
    "a route without hosts",
    edited((r) => {
      r.hosts = [];
    }),
    "routes[0] has no hosts",
  ],
  ["UTF-16", Buffer.from('{"revision":"r"}', "utf16le"), "the document is not valid JSON"],
  ["a NUL in a string", '{"revision":"a\\u0000b"}', "revision is not a valid string"],
  ["broken UTF-8", Buffer.from('{"revision":"\xff"}', "latin1"), "revision is not a valid string"],
  ["a lone surrogate", '{"revision":"\\ud800"}', "revision is not a valid string"],
];

/** Configurations of what only weir-full.wasm knows, and that it refuses. */
export const refusedByFull: [string, string | Buffer, string][] = [
  [
    "an exception for everyone",
    edited((r) => {
      r.compression.exceptions = [{ match: [] }];
    }),
    "routes[0].compression.exceptions[0] has no match",
  ],
  [
    "an algorithm twice in an exception",
    edited((r) => {
      const match = [{ header: "a", present: true }];
      r.compression.exceptions = [{ match, algorithms: ["br", "br"] }];
    }),
    "routes[0].compression.exceptions[0].algorithms[1] is named twice",
  ],
  [
    "a pin to no variant",
    edited((r) => {
      r.canary.pins = { acme: "green" };
    }),
    "routes[0].canary has a pin to a variant that variants does not have",
  ],
  [
    "conversations without a pause",
    edited((r) => {
      r.canary.conversations = { header: "x-session-id" };
    }),
    "routes[0].canary.conversations has no idleSeconds",
  ],
  [
    "conversations with a pause of 8 days",
    edited((r) => {
      r.canary.conversations = { header: "x-session-id", idleSeconds: 8 * 86_400 };
    }),
    "routes[0].canary.conversations.idleSeconds is out of range",
  ],
  [
    "baggage as a word",
    edited((r) => {
      r.shadow.baggage = "yes";
    }),
    "routes[0].shadow.baggage must be true or false",
  ],
];
