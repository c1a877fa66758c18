import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { mergeExisting, renderIstio, toYaml } from "../../control/istio/index.ts";
import { readObjects } from "../../control/objects/index.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";

// What a kept rule does to a route: every way to write a match, a backend and a parent.

type Rule = Record<string, unknown>;

function merge(folder: string, edit: (spec: any) => void) {
  const from = (file: string) =>
    readFileSync(`test/istio/merging/golden/${folder}/${file}.yaml`, "utf8");
  const existing = readObjects(from("existing"));
  const kind = folder.includes("http-route") ? "HTTPRoute" : "VirtualService";
  edit(existing.find((object) => object.kind === kind)?.spec);
  const { routes } = parseRoutes(from("route"));
  const states = routes.map((route) => create(RouteStateSchema, draftRoute(route, undefined)));
  const target = kind === "HTTPRoute" ? { target: "gateway-api" as const } : {};
  const merged = mergeExisting(renderIstio(states, target).manifests, existing, routes);
  const object = readObjects(toYaml(merged.manifests)).find((each) => each.kind === kind);
  return { codes: merged.problems.map(({ code }) => code), spec: object?.spec as any, ...merged };
}

describe("an HTTPRoute", () => {
  const own = [{ name: "llm-stable", port: 8000 }];
  const elsewhere = [{ name: "docs", port: 80 }];
  const withRule = (rule: Rule) =>
    merge("http-route", (spec) => {
      spec.rules.splice(1, 0, rule);
    });
  const specific: [string, object][] = [
    ["a prefix", { path: { type: "PathPrefix", value: "/v1" } }],
    ["a prefix without its type", { path: { value: "/v1" } }],
    ["a path", { path: { type: "Exact", value: "/v1/chat/completions" } }],
    ["the path /", { path: { type: "Exact", value: "/" } }],
    ["an expression", { path: { type: "RegularExpression", value: "/v[12]/.*" } }],
    ["an expression with an end", { path: { type: "RegularExpression", value: ".*/completions" } }],
    ["a header", { headers: [{ name: "x-beta", value: "1" }] }],
    [
      "a header by an expression",
      { headers: [{ name: "x-b", type: "RegularExpression", value: ".*" }] },
    ],
    ["a query", { queryParams: [{ name: "beta", value: "1" }] }],
    ["a method", { method: "POST" }],
    [
      "a method with every path",
      { method: "POST", path: { type: "RegularExpression", value: ".*" } },
    ],
  ];

  it.each(specific)("with %s for the route's own pods is refused", (_name, match) => {
    for (const backendRefs of [
      own,
      [{ name: "llm-canary", port: 9000, weight: 1 }],
      [{ group: "", kind: "Service", name: "llm-stable", namespace: "inference", port: 8000 }],
      [...elsewhere, ...own],
    ])
      expect(withRule({ matches: [match], backendRefs }).codes).toEqual(["merge-shadowed"]);
  });

  it.each(specific)("with %s for other pods keeps it as it is", (_name, match) => {
    const rule = {
      matches: [match],
      filters: [{ type: "URLRewrite", urlRewrite: { hostname: "docs.example.com" } }],
      timeouts: { request: "5s" },
      backendRefs: elsewhere,
    };
    for (const backendRefs of [
      elsewhere,
      [{ name: "llm-stable", namespace: "other", port: 8000 }],
      [{ kind: "InferencePool", group: "inference.networking.k8s.io", name: "llm-stable" }],
    ]) {
      const { codes, spec } = withRule({ ...rule, backendRefs });
      expect(codes).toEqual([]);
      expect(spec.rules[1]).toEqual({ ...rule, backendRefs });
    }
  });

  const everything: [string, object | undefined][] = [
    ["no match", undefined],
    ["an empty match", {}],
    ["the prefix /", { path: { type: "PathPrefix", value: "/" } }],
    ["the expression .*", { path: { type: "RegularExpression", value: ".*" } }],
    ["the expression ^/.*$", { path: { type: "RegularExpression", value: "^/.*$" } }],
    ["the expression /(.*)", { path: { type: "RegularExpression", value: "/(.*)" } }],
  ];
  it.each(everything)("with %s gives its place and what it had besides", (_name, match) => {
    const { codes, spec } = merge("http-route", ({ rules }) => {
      if (match === undefined) delete rules[1].matches;
      else rules[1].matches = [match, { path: { type: "Exact", value: "/more" } }];
    });
    expect(codes).toEqual([]);
    const [kept, ...mine] = spec.rules;
    expect(kept.matches[0].path).toEqual({ type: "Exact", value: "/healthz" });
    expect(mine).toHaveLength(3);
    for (const { filters, timeouts } of mine) {
      expect(filters.map(({ type }: { type: string }) => type)).toContain("ExtensionRef");
      expect(timeouts).toEqual({ request: "600s", backendRequest: "30s" });
    }
  });
  it.each(everything)("with %s that leads elsewhere is refused", (_name, match) => {
    const { codes } = merge("http-route", ({ rules }) => {
      rules[1] = { ...(match ? { matches: [match] } : {}), backendRefs: elsewhere };
    });
    expect(codes).toEqual(["merge-catch-all"]);
  });

  const gateway = { name: "public", namespace: "istio-system" };
  it.each<[string, Rule[]]>([
    ["a listener by its name", [{ ...gateway, sectionName: "https" }]],
    ["a listener by its port", [{ ...gateway, port: 443 }]],
    ["both", [{ ...gateway, sectionName: "https", port: 443 }]],
    [
      "two listeners",
      [
        { ...gateway, sectionName: "https" },
        { ...gateway, sectionName: "internal" },
      ],
    ],
    [
      "a Gateway with its kind",
      [{ group: "gateway.networking.k8s.io", kind: "Gateway", ...gateway, sectionName: "https" }],
    ],
  ])("bound to %s stays bound to that alone", (_name, parentRefs) => {
    const { codes, spec } = merge("http-route", (there) => {
      there.parentRefs = parentRefs;
    });
    expect(codes).toEqual([]);
    expect(spec.parentRefs).toEqual(parentRefs);
  });

  it.each<[string, string[] | undefined, string[]]>([
    ["the same host", ["chat.example.com"], []],
    ["two hosts", ["chat.example.com", "old.example.com"], ["merge-other-hosts"]],
    ["a wildcard besides", ["*.example.com", "chat.example.com"], ["merge-other-hosts"]],
    ["every host", undefined, ["merge-other-hosts"]],
  ])("of %s is taken or refused", (_name, hostnames, wanted) => {
    const { codes } = merge("http-route", (spec) => {
      if (hostnames) spec.hostnames = hostnames;
      else delete spec.hostnames;
    });
    expect(codes).toEqual(wanted);
  });
});

describe("a VirtualService", () => {
  const own = [{ destination: { host: "llm", subset: "v1" } }];
  const elsewhere = [{ destination: { host: "docs" } }];
  const only = (...rules: Rule[]) =>
    merge("refused-shadowed", (spec) => {
      spec.http = [...rules, { route: own }];
      delete spec.tls;
    });
  const specific: [string, object][] = [
    ["a prefix", { uri: { prefix: "/v1" } }],
    ["a path", { uri: { exact: "/v1/chat/completions" } }],
    ["the path /", { uri: { exact: "/" } }],
    ["an expression", { uri: { regex: "/v[12]/.*" } }],
    ["a path in any case", { uri: { prefix: "/V1" }, ignoreUriCase: true }],
    ["a header", { headers: { "x-beta": { exact: "1" } } }],
    ["headers that lack", { withoutHeaders: { "x-beta": {} } }],
    ["a query", { queryParams: { beta: { exact: "1" } } }],
    ["a method", { method: { exact: "POST" } }],
    ["an authority", { authority: { prefix: "chat" } }],
    ["a scheme", { scheme: { exact: "https" } }],
    ["a port", { port: 8443 }],
    ["callers of a namespace", { sourceNamespace: "web" }],
    ["a gateway", { gateways: ["istio-system/public"] }],
  ];
  it.each(specific)("with %s for the route's own Service is refused", (_name, match) => {
    for (const host of [
      "llm",
      "llm.inference",
      "llm.inference.svc",
      "llm.inference.svc.cluster.local",
    ])
      expect(only({ match: [match], route: [{ destination: { host } }] }).codes).toEqual([
        "merge-shadowed",
      ]);
    expect(only({ match: [match], route: [...elsewhere, ...own] }).codes).toEqual([
      "merge-shadowed",
    ]);
  });
  it.each(specific)("with %s for another Service keeps it as it is", (_name, match) => {
    for (const rule of [
      { match: [match], route: elsewhere, retries: { attempts: 1 }, timeout: "5s" },
      { match: [match], route: [{ destination: { host: "llm.other.svc.cluster.local" } }] },
      { match: [match], redirect: { uri: "/docs" } },
      { match: [match], directResponse: { status: 404 } },
    ]) {
      const { codes, spec } = only(rule);
      expect(codes).toEqual([]);
      expect(spec.http[0]).toEqual(rule);
    }
  });
  const everything: [string, object[] | undefined][] = [
    ["no match", undefined],
    ["no matches", []],
    ["a match of a name alone", [{ name: "all" }]],
    ["the prefix /", [{ uri: { prefix: "/" } }]],
    ["the prefix / in any case", [{ uri: { prefix: "/" }, ignoreUriCase: true }]],
    ["the expression .*", [{ uri: { regex: ".*" } }]],
    ["the expression ^/.*$", [{ uri: { regex: "^/.*$" } }]],
    ["a path, or every one", [{ uri: { exact: "/a" } }, { uri: { prefix: "/" } }]],
  ];
  it.each(everything)("with %s gives its place", (_name, match) => {
    const { codes, spec } = merge("refused-shadowed", (there) => {
      there.http = [{ match, route: own, corsPolicy: { maxAge: "5s" } }];
      delete there.tls;
    });
    expect(codes).toEqual([]);
    for (const rule of spec.http) expect(rule.corsPolicy).toEqual({ maxAge: "5s" });
    expect(spec.http.at(-1).route).toHaveLength(2);
  });
  it.each(everything)("with %s that leads elsewhere is refused", (_name, match) => {
    const { codes } = merge("refused-shadowed", (there) => {
      there.http = [{ match, route: elsewhere }];
      delete there.tls;
    });
    expect(codes).toEqual(["merge-catch-all"]);
  });
});
