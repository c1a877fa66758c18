import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { parseRoute, parseRoutes, shiftWeights, validateRoute } from "../../control/route/index.ts";
import { exampleDocument, messageWith, routeWith } from "./documents.ts";

const example = readFileSync("examples/canary/route.yaml", "utf8");

/** All problems of a document, as "code path: message". */
function problemsOf(document: unknown): string[] {
  return parseRoutes(stringify(document)).problems.map(
    ({ code, path, message }) => `${code} ${path}: ${message}`,
  );
}
function changed(
  edit: (spec: Record<string, any>, document: Record<string, any>) => void,
): unknown {
  const document = exampleDocument();
  edit(document.spec, document);
  return document;
}

it("accepts the example", () => {
  expect(parseRoutes(example).problems).toEqual([]);
  expect(parseRoutes(example).routes).toHaveLength(1);
});

describe("weights", () => {
  const { rows } = JSON.parse(readFileSync("test/vectors/weights.json", "utf8")) as {
    rows: { name: string; weights: unknown[]; valid: boolean }[];
  };
  it.each(rows)("$name", ({ weights, valid }) => {
    const document = routeWith(Object.fromEntries(weights.map((weight, i) => [`v${i}`, weight])));
    const { problems } = parseRoutes(stringify(document));
    expect(problems.length === 0, JSON.stringify(problems)).toBe(valid);
  });
  it("are refused with the sum that they have", () => {
    expect(problemsOf(routeWith({ a: 50, b: 49 }))).toEqual([
      "weights-sum spec.variants: weights must sum to exactly 100, not 99",
    ]);
  });
});

describe("a document with something wrong in it", () => {
  it.each<[string, unknown, string]>([
    [
      "an unknown field",
      changed((spec) => {
        spec.rateLimit.tier = {};
      }),
      'unknown-field spec.rateLimit.tier: unknown field "tier", did you mean "tiers"?',
    ],
    [
      "a wrong type",
      changed((spec) => {
        spec.service.port = "8000";
      }),
      'wrong-type spec.service.port: port must be a whole number, not "8000"',
    ],
    [
      "two variants of one name",
      changed((spec) => {
        spec.variants[1].name = "stable";
      }),
      'duplicate-variant spec.variants[1]: variant "stable" is listed twice',
    ],
    [
      "a name that is no DNS label",
      changed((_, document) => {
        document.metadata.name = "Chat_1";
      }),
      'bad-value metadata.name: name must be a DNS-1123 label, not "Chat_1"',
    ],
    [
      "a path for a name",
      changed((spec) => {
        spec.variants[1].name = "../x";
      }),
      'bad-value spec.variants[1].name: name must be a DNS-1123 label, not "../x"',
    ],
    [
      "no variants",
      changed((spec) => {
        spec.variants = [];
      }),
      "missing-field spec.variants: variants must not be empty",
    ],
    [
      "a missing tier",
      changed((spec) => {
        spec.rateLimit.tenants.acme = "platinum";
      }),
      'unknown-tier spec.rateLimit.tenants.acme: tier "platinum" is not one of gold, silver, bronze',
    ],
    [
      "no service where a variant has no endpoints",
      changed((spec) => {
        spec.service = undefined;
        delete spec.variants[0].endpoints;
      }),
      "missing-field spec.service: service is required when a variant has no endpoints and no register: it names the Kubernetes Service of the pods",
    ],
    [
      "a negative rate",
      changed((spec) => {
        spec.rateLimit.tiers.gold.requestsPerSecond = -1;
      }),
      "out-of-range spec.rateLimit.tiers.gold.requestsPerSecond: requestsPerSecond must be at least 0, not -1",
    ],
    [
      "a shadow variant with a weight",
      changed((spec) => {
        spec.shadow = { variant: "canary", tag: "t", percent: 5 };
      }),
      "shadow-weight spec.shadow.variant: variant canary receives only shadow traffic: its weight must be 0, not 10",
    ],
    [
      "two key sources in one",
      changed((spec) => {
        spec.canary.stickyBy[0].apiKey = true;
      }),
      "one-of spec.canary.stickyBy[0]: stickyBy[0] must have exactly one of header, apiKey, sourceIp, san, tenant",
    ],
    [
      "a control header as identity",
      changed((spec) => {
        spec.rateLimit.identity = [{ header: "x-weir-tenant" }];
      }),
      "control-header spec.rateLimit.identity[0].header: header x-weir-tenant is set by weir and cannot identify the caller: use another header",
    ],
    [
      "a short timeout",
      changed((spec) => {
        spec.resilience.timeout = "0s";
      }),
      "out-of-range spec.resilience.timeout: timeout must be at least 0.001s",
    ],
    [
      "a first byte that is due after the whole answer",
      changed((spec) => {
        Object.assign(spec.resilience, { timeout: "20s", firstByteTimeout: "20s" });
      }),
      "no-effect spec.resilience.firstByteTimeout: firstByteTimeout has no effect unless it is shorter than timeout",
    ],
    [
      "two times until the first byte",
      changed((spec) => {
        spec.resilience = {
          firstByteTimeout: "2s",
          retries: { attempts: 1, perTryTimeout: "1s" },
        };
      }),
      "first-byte-retries spec.resilience.firstByteTimeout: firstByteTimeout cannot be combined with retries.perTryTimeout: the first answers 504, the second retries",
    ],
    [
      "a completion that is late and would run again",
      changed((spec) => {
        spec.resilience = {
          firstByteTimeout: "2s",
          retries: { attempts: 1, retryOn: ["connect-failure", "gateway-error"] },
        };
      }),
      "first-byte-retries spec.resilience.firstByteTimeout: retries on gateway-error would retry requests that firstByteTimeout ended: leave gateway-error out, or use retries.perTryTimeout instead",
    ],
    [
      "a pause that is longer than the whole answer",
      changed((spec) => {
        Object.assign(spec.resilience, { timeout: "20s", streamIdleTimeout: "20s" });
      }),
      "no-effect spec.resilience.streamIdleTimeout: streamIdleTimeout has no effect unless it is shorter than timeout",
    ],
    [
      "a first byte that is due after the longest pause",
      changed((spec) => {
        spec.resilience = { streamIdleTimeout: "2s", firstByteTimeout: "2s" };
      }),
      "no-effect spec.resilience.firstByteTimeout: firstByteTimeout has no effect unless it is shorter than streamIdleTimeout",
    ],
    [
      "a completion that paused and would run again",
      changed((spec) => {
        spec.resilience = {
          streamIdleTimeout: "2s",
          retries: { attempts: 1, retryOn: ["connect-failure", "reset"] },
        };
      }),
      "stream-idle-retries spec.resilience.streamIdleTimeout: retries on reset would retry requests that streamIdleTimeout ended: leave reset out",
    ],
    [
      "health checks without a pause",
      changed((spec) => {
        spec.resilience = { healthCheck: { path: "/health", interval: "0.01s" } };
      }),
      "out-of-range spec.resilience.healthCheck.interval: interval of a health check must be at least 0.1s",
    ],
    [
      "a health check without a time",
      changed((spec) => {
        spec.resilience = { healthCheck: { path: "/health", timeout: "0s" } };
      }),
      "out-of-range spec.resilience.healthCheck.timeout: timeout must be at least 0.001s",
    ],
    [
      "a status of health that is listed twice",
      changed((spec) => {
        spec.resilience = { healthCheck: { path: "/health", expectedStatuses: [200, 200] } };
      }),
      'duplicate-status spec.resilience.healthCheck.expectedStatuses[1]: status "200" is listed twice',
    ],
    [
      "a part for each variant of no limit",
      changed((spec) => {
        spec.rateLimit.variantPercent = 30;
      }),
      "no-effect spec.rateLimit.variantPercent: variantPercent has no effect without spec.canary and a limit of concurrent requests",
    ],
    [
      "a tier that is forbidden and has a limit",
      changed((spec) => {
        spec.rateLimit.tiers.gold.forbidden = true;
      }),
      "forbidden-with-limits spec.rateLimit.tiers.gold.forbidden: tier gold is forbidden, so its other fields have no effect: remove them, or forbidden",
    ],
    [
      "a tier without a rate",
      changed((spec) => {
        spec.rateLimit.tiers.gold = { forbidden: false };
      }),
      "missing-field spec.rateLimit.tiers.gold.requestsPerSecond: requestsPerSecond is required in a tier that is not forbidden",
    ],
    [
      "unknown callers where every caller has an address",
      changed((spec) => {
        spec.rateLimit.identity = [{ apiKey: true }, { sourceIp: true }];
        spec.rateLimit.unknownCaller = "refuse";
      }),
      "no-effect spec.rateLimit.unknownCaller: unknownCaller refuse has no effect with sourceIp in identity, because every caller has an address: remove one of them",
    ],
    [
      "unknown callers where only certificates identify them",
      changed((spec) => {
        spec.rateLimit.identity = [{ san: "connection" }];
        spec.rateLimit.unknownCaller = "refuse";
      }),
      "no-challenge spec.rateLimit.unknownCaller: unknownCaller refuse answers 401, which asks for a credential in a header, and identity has only certificates: set default to a tier with forbidden",
    ],
    ...[
      ["10.0.0.256:80", "has no valid IP address"],
      ["gpu.10:80", "has no valid IP address"],
      ["[::1::2]:80", "has no valid IP address"],
      ["gpu-1.example.net:0", "has a port outside 1 to 65535"],
      [`${"a".repeat(64)}.example.net:80`, "has a name with a label of more than 63 characters"],
      [`${"a.".repeat(126)}ab:80`, "has a name of more than 253 characters"],
    ].map(([endpoint = "", problem]): [string, unknown, string] => [
      `the endpoint ${endpoint}`,
      changed((spec) => {
        spec.variants[0].endpoints = [endpoint];
      }),
      `bad-endpoint spec.variants[0].endpoints[0]: endpoint "${endpoint}" ${problem}`,
    ]),
    ...[
      "GPU.example.net:80",
      "gpu_1:80",
      "-gpu:80",
      "gpu-.net:80",
      "gpu..net:80",
      "gpu",
      ":80",
    ].map((endpoint): [string, unknown, string] => [
      `the endpoint ${endpoint}`,
      changed((spec) => {
        spec.variants[0].endpoints = [endpoint];
      }),
      `bad-value spec.variants[0].endpoints[0]: endpoints[0] must be "IP:port" or "name:port" in lower case, not "${endpoint}"`,
    ]),
    [
      "a name that two variants have",
      changed((spec) => {
        spec.variants[0].endpoints = ["gpu-1:80", "192.0.2.1:80"];
        spec.variants[1].endpoints = ["gpu-1:80"];
      }),
      "duplicate-endpoint spec.variants[1].endpoints[0]: endpoint gpu-1:80 already belongs to variant stable",
    ],
    [
      "a bad endpoint",
      changed((spec) => {
        spec.variants[0].endpoints = ["127.0.0.1:70000"];
      }),
      'bad-endpoint spec.variants[0].endpoints[0]: endpoint "127.0.0.1:70000" has a port outside 1 to 65535',
    ],
  ])("is refused for %s", (_name, document, problem) => {
    expect(problemsOf(document)).toContain(problem);
  });

  it("is told everything at once", () => {
    const document = changed((spec) => {
      spec.hosts = ["UPPER.example.com"];
      spec.service.port = 0;
      spec.nonsense = 1;
    });
    expect(problemsOf(document)).toHaveLength(3);
  });

  it("never shows a key that was pasted where a tenant belongs", () => {
    const problems = problemsOf(
      changed((spec) => {
        spec.rateLimit.tenants["sk-very-secret"] = "gold";
      }),
    );
    expect(problems).toHaveLength(1);
    expect(problems.join()).not.toContain("secret");
  });
});

it.each([
  ["nothing", ""],
  ["broken YAML", "a: [1"],
  ["two keys of one name", "apiVersion: a\napiVersion: b"],
  ["binary", "\u0000\u0001"],
  [
    "an alias bomb",
    `a: &a [x,x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
      .split("")
      .map((k, i) => `${k}: &${k} [${Array(10).fill(`*${"abcdefgh"[i]}`).join(",")}]`)
      .join("\n")}`,
  ],
  ["a megabyte", `a: ${"x".repeat(1 << 20)}`],
])("refuses %s without a crash", (_name, text) => {
  const { routes, problems } = parseRoutes(text);
  expect(routes).toEqual([]);
  expect(problems.length).toBeGreaterThan(0);
});

it("refuses two routes of one name or one host in a file", () => {
  const { problems } = parseRoutes(`${example}\n---\n${example}`);
  expect(problems.map(({ code }) => code)).toEqual(["duplicate-route"]);
  const other = parse(example) as { metadata: { name: string } };
  other.metadata.name = "other";
  expect(
    parseRoutes(`${example}\n---\n${stringify(other)}`).problems.map(({ code }) => code),
  ).toEqual(["host-taken"]);
});

it("of brackets alone is told in a few lines", () => {
  const { problems } = parseRoutes(`a: ${"[".repeat(20_000)}`);
  expect(problems).toMatchObject(
    [{ code: "yaml", message: /nested more than 200 levels/ }].map((each) => ({
      ...each,
      message: expect.stringMatching(each.message),
    })),
  );
});

describe("a shift", () => {
  const route = messageWith({ stable: 90, canary: 10, next: 0 });
  const weightsAfter = (weights: Record<string, number>) =>
    Object.fromEntries(
      shiftWeights(route, weights).route?.spec?.variants.map(({ name, weight }) => [
        name,
        weight,
      ]) ?? [],
    );

  it("takes what it gives from the others in proportion", () => {
    expect(weightsAfter({ canary: 30 })).toEqual({ stable: 70, canary: 30, next: 0 });
    expect(weightsAfter({ next: 33.33 })).toEqual({ stable: 60, canary: 6.67, next: 33.33 });
  });
  it.each([
    [{ canary: 101 }, "out-of-range"],
    [{ canary: -1 }, "out-of-range"],
    [{ canary: Number.NaN }, "out-of-range"],
    [{ canary: 1.234 }, "too-precise"],
    [{ green: 5 }, "unknown-variant"],
    [{ stable: 60, canary: 60 }, "weights-sum"],
    [{}, "missing-field"],
    [Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`v${i}`, 1])), "too-many"],
  ])("of %j is refused", (weights, code) => {
    expect(
      shiftWeights(route, weights as Record<string, number>).problems.map((each) => each.code),
    ).toEqual([code]);
  });
  it("stores two decimals, however near to them what was given is", () => {
    expect(weightsAfter({ canary: 1e-300 })).toEqual({ stable: 100, canary: 0, next: 0 });
    expect(Object.is(weightsAfter({ canary: -0 }).canary, 0)).toBe(true);
  });
  it("leaves a right document", () => {
    const { route: shifted } = shiftWeights(route, { canary: 55.55 });
    expect(shifted && validateRoute(shifted)).toEqual([]);
    expect(parseRoute(undefined).problems).toHaveLength(1);
  });
});
