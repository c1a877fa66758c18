import { create, fromJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { FilterConfigSchema } from "../../control/gen/weir/v1/filter_pb.ts";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import {
  arrivalConfig,
  copyConfig,
  filterConfig,
  headerModule,
  parseRoutes,
} from "../../control/route/index.ts";
import { exampleDocument } from "./documents.ts";

/** The example with a shadow variant, edited. */
function edited(edit: (spec: any) => void): unknown {
  const document: any = exampleDocument();
  const { spec } = document;
  spec.variants.push({ name: "next", weight: 0, labels: { version: "v3" } });
  for (const variant of spec.variants) delete variant.endpoints;
  spec.shadow = { variant: "next", percent: 5, tag: "t" };
  edit(spec);
  return document;
}
const problemsOf = (edit: (spec: any) => void) =>
  parseRoutes(stringify(edited(edit))).problems.map(
    ({ code, path, message }) => `${code} ${path}: ${message}`,
  );
function stateOf(edit: (spec: any) => void) {
  const { routes, problems } = parseRoutes(stringify(edited(edit)));
  expect(problems).toEqual([]);
  return create(RouteStateSchema, { route: routes[0] as NonNullable<(typeof routes)[0]> });
}

describe("a policy that cannot mean anything is refused", () => {
  it.each<[string, (spec: any) => void, string]>([
    [
      "a hold of a tier that is not there",
      (spec) => {
        spec.canary.hold = { tiers: ["gold", "iron"], variant: "stable" };
      },
      'unknown-tier spec.canary.hold.tiers[1]: tier "iron" is not one of gold, silver, bronze',
    ],
    [
      "a hold on the shadow variant",
      (spec) => {
        spec.canary.hold = { tiers: ["gold"], variant: "next" };
      },
      'unknown-variant spec.canary.hold.variant: variant "next" is not one of stable, canary',
    ],
    [
      "a pin to the shadow variant",
      (spec) => {
        spec.canary.pin = { acme: "next" };
      },
      'unknown-variant spec.canary.pin.acme: variant "next" is not one of stable, canary',
    ],
    [
      "pins without an identity",
      (spec) => {
        spec.canary = { stickyBy: [{ header: "x-user-id" }], pin: { acme: "stable" } };
        delete spec.rateLimit;
      },
      "missing-field spec.rateLimit: canary.pin names tenants: set rateLimit.identity, which identifies tenants",
    ],
    [
      "a tenant that is told by the tenant",
      (spec) => {
        spec.rateLimit.identity = [{ tenant: true }];
      },
      "circular spec.rateLimit.identity[0].tenant: rateLimit.identity determines the tenant, so it cannot use the tenant: use header, apiKey, sourceIp or san",
    ],
    [
      "more keys than the filters read",
      (spec) => {
        spec.rateLimit.identity = "abcdefgh".split("").map((header) => ({ header }));
        spec.canary.stickyBy = [{ tenant: true }, { sourceIp: true }];
      },
      "too-many spec.canary.stickyBy: stickyBy has 9 sources, including those of rateLimit.identity: at most 8 are allowed",
    ],
    [
      "conversations that end after 100 days",
      (spec) => {
        spec.canary.conversations = { idle: "8640000s" };
      },
      "out-of-range spec.canary.conversations.idle: idle must be whole seconds from 1s to 604800s",
    ],
    [
      "conversations named by a control header",
      (spec) => {
        spec.canary.conversations = { header: "x-weir-tier" };
      },
      "control-header spec.canary.conversations.header: header x-weir-tier is set by weir and cannot name a conversation: use another header",
    ],
    [
      "a tier for mirrored requests",
      (spec) => {
        spec.shadow.tier = "gold";
      },
      "no-effect spec.shadow.tier: tier has no effect with mode mirror: only diverted requests are limited",
    ],
    [
      "a tier that is not there",
      (spec) => {
        spec.shadow.mode = "divert";
        spec.shadow.tier = "platinum";
      },
      'unknown-tier spec.shadow.tier: tier "platinum" is not one of gold, silver, bronze',
    ],
    [
      "an arrival at other pods",
      (spec) => {
        spec.shadow.arrival = { selector: { app: "llm" } };
      },
      "arrival-labels spec.shadow.arrival.selector: selector must have the labels of variant next (version: v3 is missing): otherwise other pods' requests are marked as shadow traffic",
    ],
    [
      "an arrival at a gateway",
      (spec) => {
        spec.shadow.arrival = { targetRefs: [{ kind: "Gateway", name: "public" }] };
      },
      "one-of spec.shadow.arrival: arrival selects pods: use selector, not targetRefs",
    ],
    [
      "an exception with an algorithm that the route has not",
      (spec) => {
        spec.compression.algorithms = ["gzip"];
        spec.compression.exceptions = [
          { match: [{ header: "user-agent", prefix: "x" }], algorithms: ["br"] },
        ];
      },
      "unknown-algorithm spec.compression.exceptions[0].algorithms[0]: algorithm br is not one of spec.compression.algorithms: gzip",
    ],
  ])("%s", (_name, edit, expected) => {
    expect(problemsOf(edit)).toContain(expected);
  });
});

/** What the filters are given for a route. */
const policiesOf = (state: RouteState) =>
  fromJson(FilterConfigSchema, filterConfig([state])).routes;

it.each([
  [100, 50],
  [1000, 1],
  [1.5, 1],
  [0.5, 3],
  [100, undefined],
])("%s requests a second with a burst of %s is taken as it is written", (rate, burst) => {
  const document = exampleDocument() as any;
  document.spec.rateLimit.tiers.gold = { requestsPerSecond: rate, ...(burst ? { burst } : {}) };
  const { problems, routes } = parseRoutes(stringify(document));
  expect(problems).toEqual([]);
  const gold = routes[0]?.spec?.rateLimit?.tiers.gold;
  expect([gold?.requestsPerSecond, gold?.burst]).toEqual([rate, burst ?? 0]);
});

describe("the filters' configuration", () => {
  const divert = (spec: any) => {
    Object.assign(spec.shadow, { mode: "divert", tier: "bronze", maxTokens: 64 });
    spec.rateLimit.tiers.gold = { requestsPerSecond: 2.5, tokensPerMinute: 6000 };
  };
  it("tells diverted requests apart where tokens are counted, and copies only beyond the gateway", () => {
    const [diverted] = policiesOf(stateOf(divert));
    expect(diverted?.tokenLimit).toMatchObject({
      shadow: { header: "x-shadow-mode", maxTokens: 64 },
      tenants: { ",shadow": "bronze" },
      tiers: { gold: { tokensPerMinute: 6000n, requestsPerSecond: 2.5, burst: 3 } },
    });
    const mirror = stateOf((spec) => {
      divert(spec);
      Object.assign(spec.shadow, { mode: "mirror", tier: "" });
    });
    const [mirrored] = policiesOf(mirror);
    expect(mirrored?.tokenLimit?.shadow).toBeUndefined();
    expect(mirrored?.tokenLimit?.tenants).not.toHaveProperty([",shadow"]);
    const copies = mirror.route && copyConfig(mirror.route);
    expect(copies?.routes).toEqual([
      {
        name: "inference/chat",
        hosts: ["*"],
        tokenLimit: { variants: ["next"], shadow: { maxTokens: 64 } },
      },
    ]);
  });

  it.each<[string, string[], Record<string, string>]>([
    ["a known tier", ["gold"], { acme: "stable", internal: "stable" }],
    ["two", ["gold", "silver"], { acme: "stable", internal: "stable", globex: "stable" }],
    ["everyone's tier", ["bronze"], { "*": "stable", acme: "*", internal: "*", globex: "*" }],
    ["both", ["bronze", "silver"], { "*": "stable", acme: "*", internal: "*" }],
  ])("holds %s by pins", (_name, tiers, pins) => {
    const state = stateOf((spec) => {
      spec.rateLimit.tenants = { acme: "gold", internal: "gold", globex: "silver" };
      spec.rateLimit.default = "bronze";
      spec.canary.hold = { tiers, variant: "stable" };
    });
    expect(policiesOf(state)[0]?.canary?.pins).toEqual(pins);
  });
  it("lets a pin win over its tier", () => {
    const state = stateOf((spec) => {
      spec.rateLimit.tenants = { acme: "gold", internal: "gold" };
      spec.canary.pin = { acme: "canary" };
      spec.canary.hold = { tiers: ["gold"], variant: "stable" };
    });
    expect(policiesOf(state)[0]?.canary?.pins).toEqual({
      acme: "canary",
      internal: "stable",
    });
  });

  it("tells where a tenant's name stands", () => {
    const state = stateOf((spec) => {
      spec.canary.stickyBy = [{ tenant: true }, { header: "x-user-id" }];
    });
    const sources = policiesOf(state)[0]?.canary?.stickyBy.map(({ source }) => source);
    expect(sources).toEqual([
      { case: "header", value: "x-tenant-id" },
      { case: "apiKey", value: true },
      { case: "header", value: "x-user-id" },
    ]);
  });

  it("lets no tenant pay for what is diverted", () => {
    const diverted = (edit: (spec: any) => void = () => {}) =>
      policiesOf(
        stateOf((spec) => {
          spec.shadow.mode = "divert";
          edit(spec);
        }),
      )[0];
    expect(diverted()?.rateLimit?.tenants[",shadow"]).toBe("bronze");
    expect(
      diverted((spec) => {
        spec.shadow.tier = "silver";
      })?.rateLimit?.tenants[",shadow"],
    ).toBe("silver");
    expect(diverted()?.shadow?.divert).toBe(true);
    const mirrored = policiesOf(stateOf(() => {}))[0];
    expect(mirrored?.rateLimit?.tenants[",shadow"]).toBeUndefined();
    expect(mirrored?.shadow?.maxBodyBytes).toBe(1_048_576);
  });

  it("stamps whatever arrives at the shadow's own pods, and decides nothing else there", () => {
    const { route } = stateOf((spec) => {
      spec.shadow.arrival = { selector: { app: "llm", version: "v3" } };
      spec.shadow.tagHeader = "x-tag";
    });
    const config = arrivalConfig(route as NonNullable<typeof route>);
    expect(config?.routes).toEqual([
      {
        name: "inference/chat",
        hosts: ["*"],
        shadow: expect.objectContaining({ arrival: true, tag: "t", tagHeader: "x-tag" }),
      },
    ]);
    expect(arrivalConfig(stateOf(() => {}).route as NonNullable<typeof route>)).toBeUndefined();
  });

  it.each<[string, (spec: any) => void, string]>([
    ["a mirror", () => {}, "weir"],
    ["baggage", (spec) => Object.assign(spec.shadow, { baggage: true }), "weir-full"],
    ["what is diverted", (spec) => Object.assign(spec.shadow, { mode: "divert" }), "weir-full"],
    ["pins", (spec) => Object.assign(spec.canary, { pin: { acme: "stable" } }), "weir-full"],
    [
      "held tiers",
      (spec) => Object.assign(spec.canary, { hold: { tiers: ["gold"], variant: "stable" } }),
      "weir-full",
    ],
    ["conversations", (spec) => Object.assign(spec.canary, { conversations: {} }), "weir-full"],
    [
      "exceptions",
      (spec) =>
        Object.assign(spec.compression, {
          exceptions: [{ match: [{ header: "x-raw", present: true }] }],
        }),
      "weir-full",
    ],
  ])("for %s is for the module that knows it", (_name, edit, module) => {
    expect(headerModule([stateOf(edit)])).toBe(module);
  });
});
