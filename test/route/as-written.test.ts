import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import type { InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { parseRoutes, toYaml } from "../../control/route/index.ts";
import { exampleDocument } from "./documents.ts";

// Documents as people and their tools write them, rather than as this project's own writer does.

const example = readFileSync("examples/canary/route.yaml", "utf8");
const problemsOf = (text: string) =>
  parseRoutes(text).problems.map(({ code, path, message }) => `${code} ${path}: ${message}`);

/** The example with one more tenant. */
const withTenant = (line: string) => example.replace("tenants: { ", `$&${line}, `);

describe("a key that YAML reads in another form than it is written", () => {
  it.each([
    ["007", "7"],
    ["0x1F", "31"],
    ["0o17", "15"],
    ["1e3", "1000"],
    ["1.0", "1"],
    ["+1", "1"],
    ["12345678901234567890", "12345678901234567000"],
    ["True", "true"],
    ["yes", "true"],
    ["on", "true"],
    ["OFF", "false"],
    ["n", "false"],
    ["~", ""],
    ["Null", ""],
    [".inf", "Infinity"],
  ])("%s is refused with the text as written", (key, read) => {
    expect(problemsOf(withTenant(`${key}: gold`))[0]).toBe(
      `ambiguous-key spec.rateLimit.tenants.${key}: the key ${key} would be read as "${read}": put it in quotes`,
    );
  });

  it.each(["007", "yes", "0x1F", "null", "1e3"])("%s is taken in quotes", (key) => {
    for (const quote of ['"', "'"]) {
      const { problems, routes } = parseRoutes(withTenant(`${quote}${key}${quote}: gold`));
      expect(problems).toEqual([]);
      expect(routes[0]?.spec?.rateLimit?.tenants[key]).toBe("gold");
    }
  });

  it.each(["42", "zoe", "true", "-1", "a1", "3.5", "no-one"])(
    "%s means the same to every reader, and is taken",
    (key) => {
      const { problems, routes } = parseRoutes(withTenant(`${key}: gold`));
      expect(problems).toEqual([]);
      expect(routes[0]?.spec?.rateLimit?.tenants[key]).toBe("gold");
    },
  );

  it("is found at any depth, in flow style and in every document", () => {
    const second = example
      .replace("name: chat", "name: other")
      .replace("{ version: v2 }", "{ on: v2 }");
    const text = `${example}\n---\n${second}`;
    const [found] = problemsOf(text).filter((each) => each.startsWith("ambiguous-key"));
    expect(found).toMatch(
      /^ambiguous-key document 2: spec\.variants\[\d\]\.labels\.on: the key on would be read as "true"/,
    );
  });
});

it.each(["010", "0o10", "-017"])(
  "refuses the number %s, which kubectl may read as octal",
  (value) => {
    const text = example.replace(/requestsPerSecond: \d+/, `requestsPerSecond: ${value}`);
    expect(problemsOf(text)[0]).toMatch(
      /^ambiguous-number spec\.rateLimit\.tiers\.\w+\.requestsPerSecond: .* may read it as octal/,
    );
  },
);
it.each(["0", "0.5", "1e2", "10"])("takes the number %s", (value) => {
  const text = example.replace(/requestsPerSecond: \d+/, `requestsPerSecond: ${value}`);
  expect(problemsOf(text)).toEqual([]);
});

describe("documents without content", () => {
  const empty = "# Source: chart/templates/route.yaml\n# nothing here";
  it.each([
    ["comments before it", `---\n${empty}\n---\n${example}`],
    ["comments behind it", `${example}\n---\n${empty}\n`],
    ["nothing between two marks", `---\n---\n---\n${example}\n---\n`],
    ["a null", `null\n---\n${example}`],
  ])("are skipped: %s", (_name, text) => {
    const { problems, routes } = parseRoutes(text);
    expect(problems).toEqual([]);
    expect(routes).toHaveLength(1);
  });
  it("count where a problem says in which document it is", () => {
    const wrong = example.replace("name: chat", "name: Chat_1");
    expect(problemsOf(`---\n${empty}\n---\n${wrong}`)).toEqual([
      'bad-value document 2: metadata.name: name must be a DNS-1123 label, not "Chat_1"',
    ]);
  });
  it("are no route where there is nothing else", () => {
    expect(problemsOf(`---\n${empty}\n---\n`)).toEqual(["empty : the file contains no document"]);
  });
});

it("takes merge keys, as kubectl does", () => {
  const text = example
    .replace("gold: {", "gold: &gold {")
    .replace(/silver: .*/, "silver: { <<: *gold, burst: 300 }")
    .replace(/bronze: .*/, "bronze: { <<: [*gold], requestsPerSecond: 5 }");
  expect(text).not.toBe(example);
  const { problems, routes } = parseRoutes(text);
  expect(problems).toEqual([]);
  expect(routes[0]?.spec?.rateLimit?.tiers.silver).toMatchObject({
    requestsPerSecond: 100,
    burst: 300,
  });
});

describe("several mistakes", () => {
  const edited = (edit: (spec: any) => void) => {
    const document: any = exampleDocument();
    edit(document.spec);
    return stringify(document);
  };

  it("are all told at once, whatever layer finds them", () => {
    const text = edited((spec) => {
      spec.variants[0].weight = 90.1;
      spec.rateLimit.default = "platinum";
      spec.shadow = { variant: "canary", tag: "t", percent: 250 };
    });
    expect(parseRoutes(text).problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
      "out-of-range spec.shadow.percent",
      "weights-sum spec.variants",
      "unknown-tier spec.rateLimit.default",
      "shadow-weight spec.shadow.variant",
    ]);
  });

  it("are told of all documents, and of the documents together", () => {
    const one = edited((spec) => {
      spec.nonsense = 1;
    });
    const other = edited((spec) => {
      spec.rateLimit.default = "platinum";
    }).replace("name: chat", "name: other");
    expect(
      parseRoutes(`${one}\n---\n${other}`).problems.map(({ code, path }) => `${code} ${path}`),
    ).toEqual([
      "unknown-field spec.nonsense",
      "unknown-tier document 2: spec.rateLimit.default",
      "host-taken document 2: spec.hosts[0]",
    ]);
  });

  it.each<[string, (spec: any) => void]>([
    ["a weight that is no number", (spec) => (spec.variants[0].weight = "90")],
    ["a variant that is none", (spec) => (spec.variants[1] = 7)],
    ["tiers that are a list", (spec) => (spec.rateLimit.tiers = [])],
    ["a tier without a rate", (spec) => (spec.rateLimit.tiers.gold = {})],
    ["a variant without a name", (spec) => delete spec.variants[0].name],
    ["a host that is none", (spec) => (spec.hosts = [7])],
    ["a name that is too long", (spec) => (spec.variants[1].name = "x".repeat(64))],
  ])("are not made up: %s is one problem", (_name, edit) => {
    expect(problemsOf(edited(edit))).toHaveLength(1);
  });

  it("leave a document that is right, and what is written from it, as it was", () => {
    const text = withTenant('"007": gold, "on": gold, "1e3": gold, "0o17": gold, "~": gold');
    const { routes } = parseRoutes(text);
    expect(Object.keys(routes[0]?.spec?.rateLimit?.tenants ?? {})).toHaveLength(8);
    expect(parseRoutes(stringify(parse(text), { compat: "yaml-1.1" })).routes).toEqual(routes);
    expect(parseRoutes(toYaml(routes[0] as InferenceRoute)).routes).toEqual(routes);
  });
});
