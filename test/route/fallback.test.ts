import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseRoutes } from "../../control/route/index.ts";

interface Given {
  name: string;
  fallback?: string[];
  endpoints?: string[];
  fallbackEndpoints?: string[];
}

/** Problems of a route of these variants, as "code path: message"; the first has all the weight. */
function problemsOf(variants: Given[], spec: object = {}): string[] {
  const document = {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      variants: variants.map((each, i) => ({
        weight: i === 0 ? 100 : 0,
        endpoints: [`192.0.2.${i + 1}:80`],
        ...each,
      })),
      ...spec,
    },
  };
  const { problems } = parseRoutes(stringify(document));
  return problems.map(({ code, message, path }) => `${code} ${path}: ${message}`);
}

const shadow = { shadow: { variant: "next", percent: 5, tag: "next-1" } };

describe("a fallback", () => {
  it.each<[string, Given[]]>([
    ["of one variant to the other", [{ name: "stable" }, { name: "canary", fallback: ["stable"] }]],
    [
      "of a variant that has no endpoints",
      [{ name: "stable" }, { name: "canary", endpoints: [], fallback: ["stable"] }],
    ],
    [
      "in two steps, and past one",
      [{ name: "a" }, { name: "b", fallback: ["a"] }, { name: "c", fallback: ["b", "a"] }],
    ],
  ])("%s is accepted", (_what, variants) => {
    expect(problemsOf(variants)).toEqual([]);
  });

  it.each<[string, Given[], object, string[]]>([
    [
      "a variant that is not there",
      [{ name: "stable", fallback: ["other"] }],
      {},
      ['unknown-variant spec.variants[0].fallback[0]: variant "other" is not one of stable'],
    ],
    [
      "itself",
      [{ name: "stable", fallback: ["stable"] }],
      {},
      [
        "fallback-to-itself spec.variants[0].fallback[0]: variant stable cannot take over from itself",
      ],
    ],
    [
      "one variant twice",
      [{ name: "stable" }, { name: "canary", fallback: ["stable", "stable"] }],
      {},
      ['duplicate-fallback spec.variants[1].fallback[1]: fallback "stable" is listed twice'],
    ],
    [
      "a circle of two",
      [
        { name: "a", fallback: ["b"] },
        { name: "b", fallback: ["a"] },
      ],
      {},
      [
        "fallback-circle spec.variants[0].fallback: fallbacks go in a circle: a to b to a; the load of a variant that fails would come back to it",
      ],
    ],
    [
      "a circle of three beside a variant that leads into it",
      [
        { name: "d", fallback: ["a"] },
        { name: "a", fallback: ["b"] },
        { name: "b", fallback: ["c"] },
        { name: "c", fallback: ["a"] },
      ],
      {},
      [
        "fallback-circle spec.variants[1].fallback: fallbacks go in a circle: a to b to c to a; the load of a variant that fails would come back to it",
      ],
    ],
    [
      "the shadow variant",
      [{ name: "stable", fallback: ["next"] }, { name: "next" }],
      shadow,
      [
        "fallback-to-shadow spec.variants[0].fallback[0]: variant next receives only shadow traffic: users of stable need another fallback",
      ],
    ],
    [
      "others, from the shadow variant",
      [
        { name: "stable" },
        { name: "next", fallback: ["stable"], fallbackEndpoints: ["192.0.2.9:80"] },
      ],
      shadow,
      [
        "fallback-of-shadow spec.variants[1].fallback: variant next receives only shadow traffic, which goes to no other pods: leave fallback out",
        "fallback-of-shadow spec.variants[1].fallbackEndpoints: variant next receives only shadow traffic, which goes to no other pods: leave fallbackEndpoints out",
      ],
    ],
    [
      "variants without endpoints",
      [
        { name: "stable", endpoints: [] },
        { name: "canary", endpoints: [], fallback: ["stable"] },
      ],
      { service: { name: "llm", port: 8000 } },
      [
        "fallback-without-endpoints spec.variants[1].fallback[0]: variant stable has no endpoints, so plain Envoys cannot send users of canary there: list its pods in endpoints, or let them register",
      ],
    ],
  ])("to %s is refused", (_what, variants, spec, problems) => {
    expect(problemsOf(variants, spec)).toEqual(problems);
  });

  it("is the only leave to be without endpoints beside variants that have them", () => {
    expect(problemsOf([{ name: "stable" }, { name: "canary", endpoints: [] }])).toEqual([
      "missing-field spec.service: service is required when a variant has no endpoints and no register: it names the Kubernetes Service of the pods",
      "missing-endpoints spec.variants[1].endpoints: variant canary has no endpoints, but others have: set endpoints or register for all variants or for none, or its fallback",
    ]);
  });
});

it("pods can register beside addresses, and not beside names, which Envoy resolves itself", () => {
  const found = (endpoints: string[]) =>
    parseRoutes(
      stringify({
        apiVersion: "weir.dev/v1alpha1",
        kind: "InferenceRoute",
        metadata: { name: "chat", namespace: "inference" },
        spec: {
          hosts: ["chat.example.com"],
          variants: [{ name: "stable", weight: 100, endpoints, register: true }],
        },
      }),
    ).problems.map(({ code, path }) => `${code} ${path}`);
  expect(found(["192.0.2.1:80"])).toEqual([]);
  expect(found(["192.0.2.1:80", "gpu-1:80"])).toEqual([
    "register-beside-names spec.variants[0].register",
  ]);
});
