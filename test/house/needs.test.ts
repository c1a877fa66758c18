import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import table from "../needs.json" with { type: "json" };
import type { Tool } from "../needs.ts";
import { importsOf, sourcesBelow } from "./sources.ts";

const suites: Record<string, string[]> = table.suites;
const parts: Record<string, string[]> = table.parts;
const tools = Object.keys(table.tools) as Tool[];
const files = sourcesBelow("test").filter((file) => file.endsWith(".test.ts"));

const bare = mkdtempSync(join(tmpdir(), "weir-bare-"));
afterAll(() => rmSync(bare, { recursive: true }));

/** Asks on a machine that has Node and nothing else. */
function onBareMachine(...flags: string[]) {
  const { CI: _, ENVOY_BIN: __, ...env } = process.env;
  return spawnSync(process.execPath, ["tools/test-needs.js", ...flags], {
    env: { ...env, PATH: bare },
    encoding: "utf8",
  });
}
const asked = JSON.parse(onBareMachine("--json").stdout) as {
  slow: string[];
  missing: Record<string, string>;
  lacks: Record<string, string[]>;
};

/** What a file that is written like this starts, whichever file of its imports does it. */
const starters: [RegExp, Tool][] = [
  [/(?<!function )\b(findEnvoy|weirUp|createReader)\(/, "envoy"],
  [/(?<!function )\bbuildIstio\(|build-istio\.js/, "go"],
  [/(?<!function )\bstartEtcd\(|startProgram\("etcd"/, "etcd"],
  [/(?<!function )\bstartEtcd\(|"etcdctl"/, "etcdctl"],
  [/(?<!function )\bstartBrowser\(/, "chromium"],
  [/(?<!function )\binferencePython\(/, "llama.cpp"],
  [/(?<!function )\bstartMachines\(/, "network-namespaces"],
  [/(?<!function )\bstartMachines\(/, "ip"],
  [/"unshare"/, "mount-namespaces"],
  [/(?<!function )\bmakeCertificates\(|"openssl"/, "openssl"],
  [/"faketime"/, "faketime"],
  [/"prometheus",$/m, "prometheus"],
  [/"promtool"/, "promtool"],
  [/(?<!function )\bcreateCounter\(/, "valgrind"],
];

/** These write the names of tools, and start none. */
const startNone = ["test/house/needs.test.ts", "test/envoy/find.test.ts"];

/** A test file, and what it imports below test/. */
function withImports(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file) || !file.startsWith("test/")) return seen;
  seen.add(file);
  for (const each of importsOf(file, { types: false })) withImports(each, seen);
  return seen;
}

describe("the table of what tests need", () => {
  it("has every test file, or its folder, and nothing that is not there", () => {
    const places = Object.keys(suites);
    const covers = (file: string) => places.some((at) => file === at || file.startsWith(`${at}/`));
    expect(
      files.filter((file) => !covers(file)),
      "give the folder a row in test/needs.json: what it needs, or []",
    ).toEqual([]);
    expect([...places, ...Object.keys(parts)].filter((place) => !existsSync(place))).toEqual([]);
  });

  it("names tools that it describes, and describes none that no test needs", () => {
    const named = new Set([...Object.values(suites), ...Object.values(parts)].flat());
    expect([...named].filter((each) => each !== "time").sort()).toEqual([...tools].sort());
  });

  it("has each tool that a test file starts", () => {
    const unnamed = files.flatMap((file) => {
      if (startNone.includes(file)) return [];
      const source = [...withImports(file)].map((each) => readFileSync(each, "utf8")).join("\n");
      const known = [...(asked.lacks[file] ?? []), ...(parts[file] ?? [])];
      return starters
        .filter(([pattern, tool]) => pattern.test(source) && !known.includes(tool))
        .map(([, tool]) => `${file}: ${tool}`);
    });
    expect(unnamed, "name the tool in test/needs.json: the file starts it").toEqual([]);
  });

  it("has for each part that may be left out what its test file names", () => {
    const left = files.flatMap((file) => {
      const source = readFileSync(file, "utf8");
      const named = [...source.matchAll(/\(without\("([\w.-]+)"\)\)/g)].map(([, tool]) => tool);
      return named.length > 0 ? [[file, [...new Set(named)].sort()]] : [];
    });
    const listed = Object.entries(parts).map(([file, needs]) => [file, [...needs].sort()]);
    expect(Object.fromEntries(left)).toEqual(Object.fromEntries(listed));
  });

  it("leaves in test:fast each file that needs no proxy, Go, etcd, browser, llama.cpp or time", () => {
    const heavy = ["envoy", "go", "etcd", "etcdctl", "chromium", "llama.cpp"];
    const needs = (file: string) => [...(asked.lacks[file] ?? []), ...(parts[file] ?? [])];
    const long = Object.keys(suites).filter((place) => suites[place]?.includes("time"));
    const slow = files.filter(
      (file) =>
        needs(file).some((tool) => heavy.includes(tool)) ||
        long.some((place) => file === place || file.startsWith(`${place}/`)),
    );
    expect(asked.slow).toEqual(slow.sort());
  });
});

describe("the map of the tests", () => {
  const rows = readFileSync("test/README.md", "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, folder, , needs = "", seconds = ""] = line.split("|").map((cell) => cell.trim());
      return /^`.*\/`$/.test(folder ?? "")
        ? [{ folder: folder?.slice(1, -2), needs, seconds }]
        : [];
    });
  const folders = readdirSync("test", { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("__"))
    .map(({ name }) => name);

  it("has each folder once", () => {
    expect(
      rows.map(({ folder }) => folder),
      "give each folder of tests a row in test/README.md, in the order of the alphabet",
    ).toEqual(folders.sort());
  });

  it("says what a folder needs as the table does, and how long it takes", () => {
    for (const { folder, needs, seconds } of rows) {
      const inside = files.filter((file) => file.startsWith(`test/${folder}/`));
      const named = new Set(
        inside.flatMap((file) => [...(asked.lacks[file] ?? []), ...(parts[file] ?? [])]),
      );
      expect(needs, folder).toBe(tools.filter((tool) => named.has(tool)).join(", "));
      expect(seconds, folder).toMatch(inside.length > 0 ? /^~?\d+$/ : /^$/);
    }
  });
});

describe("a machine that has Node alone", () => {
  it("is told each tool, how to get it, and what cannot run", () => {
    const { stdout, status } = onBareMachine();
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^tests: \d+ of \d+ files can run here, 3 of them in part; nothing is installed: /,
    );
    for (const tool of tools) expect(stdout).toContain(`  no ${tool} (`);
    expect(stdout).toContain(
      "leaves out test/neighbours/neighbours.test.ts, test/rollout/handover.test.ts\n     to get it: apt-get install faketime",
    );
    expect(stdout).toContain(
      "leaves out a part of test/cli/completion.test.ts\n     to get it: apt-get install fish",
    );
  });

  it("is asked before the tests, in the continuous build too", () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(scripts.pretest).toBe("node tools/test-needs.js");
    expect(readFileSync(".ci/run", "utf8")).toMatch(/^npm test -- /m);
  });
});
