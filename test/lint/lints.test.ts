import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { lintRoute, lints } from "../../control/lint/index.ts";
import { readObjects } from "../../control/objects/index.ts";
import { parseRoutes } from "../../control/route/index.ts";

interface Row {
  name: string;
  /** Replaces members of the base route; null takes one away. */
  spec: Record<string, unknown>;
  metadata?: Record<string, unknown>;
  /** Objects of the cluster; absent: none is known. */
  cluster?: unknown[];
  /** "id path" of every finding but those that the base has. */
  finds: string[];
}

const { base, rows } = parse(readFileSync("test/vectors/lints.yaml", "utf8")) as {
  base: { spec: Record<string, unknown>; metadata: Record<string, unknown> };
  rows: Row[];
};

function findingsOf({ spec, metadata, cluster }: Omit<Row, "name" | "finds">): string[] {
  const document = {
    ...base,
    metadata: { ...base.metadata, ...metadata },
    spec: Object.fromEntries(
      Object.entries({ ...base.spec, ...spec }).filter(([, value]) => value !== null),
    ),
  };
  const { problems, routes } = parseRoutes(stringify(document));
  expect(problems).toEqual([]);
  const known = cluster && readObjects(stringify({ kind: "List", items: cluster }));
  const [route] = routes;
  return route ? lintRoute(route, known).map(({ id, path }) => `${id} ${path}`) : [];
}

describe("lints", () => {
  it("say nothing about a good route", () => {
    expect(findingsOf({ spec: {} })).toEqual([]);
  });

  it.each(rows)("$name", ({ finds, ...row }) => {
    expect(findingsOf(row).sort()).toEqual([...finds].sort());
  });

  it("each has a row that breaks it", () => {
    const broken = new Set(rows.flatMap(({ finds }) => finds.map((find) => find.split(" ")[0])));
    expect(
      lints.map(({ id }) => id).filter((id) => !broken.has(id)),
      "add a row to test/vectors/lints.yaml whose finds names the lint",
    ).toEqual([]);
  });

  it("each has its own id, a reason, and a place in the guide", () => {
    const guide = readFileSync("docs/istio.md", "utf8");
    expect(new Set(lints.map(({ id }) => id)).size).toBe(lints.length);
    for (const { reason } of lints) expect(reason.length).toBeGreaterThan(20);
    expect(
      lints.map(({ id }) => id).filter((id) => !guide.includes(`| \`${id}\` `)),
      "add a row to the table of lints in docs/istio.md",
    ).toEqual([]);
  });

  it("let the examples pass without an error or a warning", () => {
    for (const name of readdirSync("examples").filter((each) => !each.endsWith(".md"))) {
      const { routes } = parseRoutes(readFileSync(`examples/${name}/route.yaml`, "utf8"));
      const found = routes.flatMap((route) => lintRoute(route));
      expect(found.filter(({ severity }) => severity !== "info")).toEqual([]);
    }
  });
});
