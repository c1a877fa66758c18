import { describe, expect, it } from "vitest";
import { parseRoutes, validateAll } from "../../control/route/index.ts";

const variants = [{ name: "stable", weight: 100, endpoints: ["127.0.0.1:9001"] }];

/** Routes as documents, each with what its spec has besides. */
function routes(...specs: object[]) {
  const documents = specs.map((spec, index) => ({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: {
      name: `r${index}`,
      namespace: "inference",
      ...(spec as { metadata?: object }).metadata,
    },
    spec: { hosts: ["a.example.com"], variants, ...spec, metadata: undefined },
  }));
  return parseRoutes(documents.map((each) => JSON.stringify(each)).join("\n---\n"));
}
const problemsOf = (...specs: object[]) =>
  routes(...specs).problems.map(({ code, path }) => `${code} ${path}`);

const model = (name: string) => ({ match: [{ model: { exact: name } }] });
const second = (path: string) => `document 2: ${path}`;

describe("routes that share a host", () => {
  it("must differ by match", () => {
    expect(problemsOf({}, {})).toEqual([`host-taken ${second("spec.hosts[0]")}`]);
    expect(problemsOf({}, model("a"), model("b"))).toEqual([]);
    expect(problemsOf(model("a"), model("b"))).toEqual([]);
  });

  it.each<[string, object, object]>([
    ["the same model", { model: { exact: "a" } }, { model: { exact: "a" } }],
    ["a model in a list", { model: { exact: "a" } }, { model: { in: ["b", "a"] } }],
    ["prefixes of one length", { model: { prefix: "ab" } }, { model: { prefix: "ab" } }],
    ["the same path", { path: { exact: "/v1" } }, { path: { exact: "/v1" } }],
    ["a path with a slash more", { path: { prefix: "/v1" } }, { path: { prefix: "/v1/" } }],
    ["other headers", { header: "a", exact: "1" }, { header: "b", exact: "1" }],
    ["a header that is there", { header: "a", exact: "1" }, { header: "a", present: true }],
    ["prefixes of a header", { header: "a", prefix: "1" }, { header: "a", prefix: "12" }],
    [
      "a model, and any of two methods",
      { model: { exact: "a" }, header: "x", exact: "1" },
      { model: { exact: "a" }, header: "y", present: false },
    ],
  ])("are refused as ambiguous with %s", (_what, one, other) => {
    for (const [a, b] of [
      [one, other],
      [other, one],
    ]) {
      const { problems } = routes(
        { match: [a] },
        { match: [{ method: "GET", path: { exact: "/x" } }, b] },
      );
      expect(problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
        `match-ambiguous ${second("spec.match[1]")}`,
      ]);
      expect(problems[0]?.message).toContain("match[0] of route inference/r0");
    }
  });

  it.each<[string, object, object]>([
    ["other models", { model: { exact: "a" } }, { model: { exact: "b" } }],
    ["a model and its prefix", { model: { exact: "ab" } }, { model: { prefix: "a" } }],
    ["a longer prefix", { model: { prefix: "ab" } }, { model: { prefix: "a" } }],
    ["prefixes that no model has both", { model: { prefix: "ab" } }, { model: { prefix: "ac" } }],
    ["a path below the other", { path: { prefix: "/v1" } }, { path: { prefix: "/v1/chat" } }],
    ["paths that only look alike", { path: { prefix: "/v1" } }, { path: { prefix: "/v2" } }],
    ["other methods", { method: "GET" }, { method: "POST" }],
    ["other values of a header", { header: "a", exact: "1" }, { header: "a", exact: "2" }],
    ["a header that is there or not", { header: "a", exact: "1" }, { header: "a", present: false }],
    ["a method more", { path: { exact: "/a" } }, { path: { exact: "/a" }, method: "GET" }],
    ["a header more", { method: "GET" }, { method: "GET", header: "a", exact: "1" }],
  ])("are told apart by %s", (_what, one, other) => {
    expect(problemsOf({ match: [one] }, { match: [other] })).toEqual([]);
  });

  it("may be of other namespaces only where a route of each lists the other", () => {
    const inTeam = (spec: object) => ({ ...spec, metadata: { namespace: "team" } });
    const taken = [`host-taken ${second("spec.hosts[0]")}`];
    expect(problemsOf(model("a"), inTeam(model("b")))).toEqual(taken);
    const shared = { ...model("a"), shareHostsWith: ["team"] };
    expect(problemsOf(shared, inTeam(model("b")))).toEqual(taken);
    const back = inTeam({ ...model("b"), shareHostsWith: ["inference"] });
    expect(problemsOf(model("a"), back)).toEqual(taken);
    expect(problemsOf(shared, back)).toEqual([]);
  });

  it("must agree about what a host can have only once", () => {
    const cors = { cors: { allowOrigins: ["*"] } };
    expect(problemsOf({ ...model("a"), ...cors }, model("b"))).toEqual([
      `cors-differs ${second("spec.cors")}`,
    ]);
    expect(problemsOf({ ...model("a"), ...cors }, { ...model("b"), ...cors })).toEqual([]);
    const header = { models: { header: "x-model" } };
    expect(problemsOf({ ...model("a"), ...header }, model("b"))).toEqual([
      `models-differ ${second("spec.models.header")}`,
    ]);
    const accept = { models: { unreadable: "accept" } };
    expect(problemsOf({ ...model("a"), ...accept }, { ...model("b"), ...accept })).toEqual([
      `models-differ ${second("spec.models.unreadable")}`,
    ]);
  });

  it("are refused once for each host that is taken, and once for what else is wrong", () => {
    const hosts = ["a.example.com", "b.example.com"];
    expect(problemsOf({ hosts }, { hosts })).toEqual([
      `host-taken ${second("spec.hosts[0]")}`,
      `host-taken ${second("spec.hosts[1]")}`,
    ]);
    expect(problemsOf({ hosts, ...model("a") }, { hosts, ...model("a") })).toEqual([
      `match-ambiguous ${second("spec.match[0]")}`,
    ]);
  });
});

it.each(["x-weir-model", "host", "content-length", "authorization"])(
  "the header %s cannot be one that a proxy writes the model into",
  (header) => {
    expect(problemsOf({ ...model("a"), models: { header } })).toEqual([
      "control-header spec.models.header",
    ]);
  },
);

it("what is exempt from limits cannot be told by a route that takes only some requests", () => {
  const except = [{ path: "/status" }];
  expect(problemsOf({ except })).toEqual([]);
  expect(problemsOf({ ...model("a"), except })).toEqual(["no-effect spec.except"]);
});

describe("entries of a match", () => {
  it.each<[string, object, string]>([
    ["nothing", {}, "missing-field spec.match[0]"],
    ["a model without a name", { model: {} }, "one-of spec.match[0].model"],
    ["two kinds of models", { model: { exact: "a", prefix: "b" } }, "one-of spec.match[0].model"],
    ["a model twice", { model: { in: ["a", "a"] } }, "duplicate-model spec.match[0].model.in[1]"],
    ["two kinds of paths", { path: { exact: "/a", prefix: "/b" } }, "one-of spec.match[0].path"],
    ["a pattern of models", { model: { prefix: "a*" } }, "bad-value spec.match[0].model.prefix"],
    ["a pattern of paths", { path: { prefix: "/a/*" } }, "bad-value spec.match[0].path.prefix"],
    ["a header alone", { header: "a" }, "one-of spec.match[0]"],
    ["a value alone", { exact: "a" }, "missing-field spec.match[0].header"],
    ["two values", { header: "a", exact: "b", prefix: "c" }, "one-of spec.match[0]"],
    [
      "Weir's own header",
      { header: "x-weir-model", exact: "b" },
      "control-header spec.match[0].header",
    ],
  ])("are refused with %s", (_what, entry, problem) => {
    expect(problemsOf({ match: [entry] })).toEqual([problem]);
  });

  it("under shadow, faults and compression are about headers alone", () => {
    const fault = { abort: { percent: 1, httpStatus: 503 } };
    const at = "spec.fault.match[0]";
    expect(problemsOf({ fault: { ...fault, match: [{ model: { exact: "a" } }] } })).toEqual([
      `match-field ${at}.model`,
    ]);
    expect(problemsOf({ fault: { ...fault, match: [{ method: "GET" }] } })).toEqual([
      `match-field ${at}.method`,
    ]);
    expect(
      problemsOf({
        fault: {
          ...fault,
          match: [{ header: "a", exact: "1", headers: [{ header: "b", present: true }] }],
        },
      }),
    ).toEqual([]);
  });

  it("a whole list of routes is checked at once", () => {
    const many = Array.from({ length: 300 }, (_, index) => model(`m${index}`));
    const { problems, routes: parsed } = routes(...many, {});
    expect(problems).toEqual([]);
    expect(validateAll(parsed)).toEqual([]);
  });
});
