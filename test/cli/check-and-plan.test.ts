import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { weir } from "../e2e/weir-up.ts";

// Every command is a process of its own: a busy machine takes seconds for each.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const example = "examples/canary/route.yaml";
const adopt = "test/istio/merging/golden/adopt";
let directory: string;
let unwise: string;
let rendered: string;

const write = (name: string, text: string) => {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
};

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-check-"));
  const text = readFileSync(example, "utf8");
  unwise = write("unwise.yaml", text.replace("timeout: 600s", "timeout: 60s"));
  rendered = write("istio.yaml", (await weir(["render", "-f", example])).stdout);
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("weir check", () => {
  it("lets advice pass unless it is asked to fail on it", async () => {
    const passed = await weir(["check", "-f", unwise]);
    expect(passed.code).toBe(0);
    expect(passed.stdout).toContain("spec.resilience.timeout: warning: timeout 60s is shorter");
    const failed = await weir(["check", "-f", unwise, "--fail-on", "warning"]);
    expect([failed.code, failed.stdout]).toEqual([1, ""]);
    expect(failed.stderr).toContain("[timeout-too-short]");
  });

  it("prints the order in which the routes of a host are asked, as the page shows it", async () => {
    const page = readFileSync("docs/models.md", "utf8");
    const [, shown = ""] = /```console\n\$ npx weir check [^\n]+\n([^`]+)```/.exec(page) ?? [];
    const { stdout } = await weir(["check", "-f", "examples/models/route.yaml"]);
    expect(shown).toContain("all others");
    expect(stdout).toBe(shown);
  });

  it("writes SARIF with the lines that the findings are about", async () => {
    const { code, stdout } = await weir([
      "check",
      "-f",
      unwise,
      "--fail-on",
      "never",
      "-o",
      "sarif",
    ]);
    expect(code).toBe(0);
    const log = JSON.parse(stdout);
    expect(log.version).toBe("2.1.0");
    const [run] = log.runs;
    const found = run.results.find(
      (each: { ruleId: string }) => each.ruleId === "timeout-too-short",
    );
    const { startLine } = found.locations[0].physicalLocation.region;
    expect(readFileSync(unwise, "utf8").split("\n")[startLine - 1]).toContain("timeout: 60s");
    const ids = run.tool.driver.rules.map(({ id }: { id: string }) => id);
    expect(run.results.every((each: { ruleId: string }) => ids.includes(each.ruleId))).toBe(true);
  });

  it("says what Istio cannot do, and does not ask it of plain Envoys", async () => {
    const text = readFileSync(example, "utf8").replace("version: v2", "version: v1");
    const file = write("same-labels.yaml", text);
    const istio = await weir(["check", "-f", file, "-o", "json"]);
    expect(istio.code).toBe(1);
    expect(JSON.parse(istio.stdout).findings).toContainEqual(
      expect.objectContaining({ id: "variant-labels-same", path: "spec.variants[1].labels" }),
    );
    expect((await weir(["check", "-f", file, "--target", "envoy"])).code).toBe(0);
  });

  it("says what keeps routes of several files from sharing a host under Istio alone", async () => {
    const [llama = "", qwen = ""] = readFileSync("examples/models/route.yaml", "utf8").split(
      "---\n",
    );
    const files = [
      write("llama.yaml", llama),
      write("qwen.yaml", qwen.replace("istio-system/public", "istio-system/private")),
    ];
    const flags = files.flatMap((file) => ["-f", file]);
    const refused = await weir(["check", ...flags]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /qwen.yaml: spec.gateways: gateways differs .*\[gateways-differ\]/,
    );
    expect((await weir(["check", ...flags, "--target", "envoy"])).code).toBe(0);
  });

  it("says of several documents whose wish to pass has no effect, and of one alone nothing", async () => {
    const text = readFileSync(example, "utf8").replace(
      /^spec:$/m,
      "spec:\n  onFilterFailure: pass",
    );
    const passing = write("passing.yaml", text);
    const renamed = (file: string, from: string) =>
      write(
        file,
        from.replace("name: chat", "name: other").replaceAll("chat.example", "o.example"),
      );
    const silent = renamed("silent.yaml", readFileSync(example, "utf8"));
    const found = async (...given: string[]) => {
      const { stdout } = await weir(["check", ...given.flatMap((f) => ["-f", f]), "-o", "json"]);
      const { findings, problems } = JSON.parse(stdout);
      expect(problems).toEqual([]);
      return findings
        .filter(({ id }: { id: string }) => id === "pass-has-no-effect")
        .map(({ file, line, message }: Record<string, unknown>) => [file, line, message]);
    };
    const line = text.split("\n").findIndex((each) => each.includes("onFilterFailure")) + 1;
    const why =
      "onFilterFailure pass has no effect: inference/other at the same attach point has onFilterFailure refuse, and both share the filter";
    expect(await found(passing, silent)).toEqual([[passing, line, why]]);
    const apart = renamed("both.yaml", text);
    expect(await found(passing, apart)).toEqual([]);
    expect(await found(passing)).toEqual([]);
    const envoy = ["--target", "envoy"];
    const { stdout } = await weir(["check", "-f", passing, "-f", silent, ...envoy, "-o", "json"]);
    expect(stdout).toContain(
      "on proxies that serve inference/other too, because its onFilterFailure is refuse",
    );
    const rendered = await weir(["render", "-f", passing, "-f", silent]);
    expect(rendered.stderr).toContain(`warning: inference/chat: spec.onFilterFailure: ${why}`);
    const sarif = await weir(["check", "-f", passing, "-f", silent, "-o", "sarif"]);
    expect(sarif.stdout).toContain("the strictest setting applies");
  });

  it("knows a cluster from a listing, and refuses what is none", async () => {
    const empty = write("empty-list.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
    const { code, stderr } = await weir(["check", "-f", example, "--cluster", empty]);
    expect(code).toBe(1);
    expect(stderr).toContain("gateway istio-system/public is not in the cluster [gateway-missing]");
    const bad = await weir(["check", "-f", example, "--cluster", write("bad.yaml", "a: [")]);
    expect([bad.code, bad.stdout]).toEqual([2, ""]);
    expect(bad.stderr).toContain("bad.yaml lists no Kubernetes objects");
  });
});

describe("weir plan --against a file", () => {
  it("ends with 0 when nothing would change, with 1 when something would", async () => {
    const same = await weir(["plan", "-f", example, "--against", rendered]);
    expect([same.code, same.stderr]).toEqual([0, ""]);
    const changed = write(
      "changed.yaml",
      readFileSync(example, "utf8")
        .replace("weight: 90", "weight: 70")
        .replace("weight: 10", "weight: 30"),
    );
    const planned = await weir(["plan", "-f", changed, "--against", rendered, "-o", "json"]);
    expect(planned.code).toBe(1);
    const { objects, routes } = JSON.parse(planned.stdout);
    expect(
      objects
        .filter(({ action }: { action: string }) => action !== "none")
        .map(({ action, kind }: { action: string; kind: string }) => `${action} ${kind}`),
    ).toEqual(["change TrafficExtension", "change VirtualService"]);
    expect(routes[0].moves).toEqual([{ from: "stable", to: "canary", percent: 20 }]);
  });

  it("compares with a route document too", async () => {
    const { code, stderr, stdout } = await weir(["plan", "-f", unwise, "--against", example]);
    expect(stderr).toBe("");
    expect(code).toBe(1);
    expect(stdout).toMatch(/^\+ +timeout: 60s$/m);
  });
});

describe("weir render --merge", () => {
  it("adopts, and what it wrote would not change any more", async () => {
    const flags = ["-f", `${adopt}/route.yaml`];
    const merged = await weir(["render", ...flags, "--merge", `${adopt}/existing.yaml`]);
    expect(merged.code).toBe(0);
    const file = write("merged.yaml", merged.stdout);
    const again = await weir(["plan", ...flags, "--against", file, "--merge"]);
    expect([again.code, again.stdout]).toEqual([0, "3 objects would not change\n"]);
  });

  it("refuses what it cannot own", async () => {
    const folder = "test/istio/merging/golden/refused-catch-all";
    const { code, stderr, stdout } = await weir([
      "render",
      "-f",
      `${folder}/route.yaml`,
      "--merge",
      `${folder}/existing.yaml`,
    ]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("belongs to Canary llm");
  });
});

describe("the guide to Istio", () => {
  const guide = readFileSync("docs/istio.md", "utf8");
  const commands = [...guide.matchAll(/^npx (weir [^|>\n]+?)(?: > .*)?$/gm)].map(
    ([, each]) => each ?? "",
  );

  it.each(commands.map((each) => [each]))("%s", async (command) => {
    const cluster = write(
      "cluster.yaml",
      [
        "{apiVersion: v1, kind: Service, metadata: {name: llm, namespace: inference}, spec: {selector: {app: llm}, ports: [{port: 8000}]}}",
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: public, namespace: istio-system}}",
      ].join("\n---\n"),
    );
    const words = command.split(" ").slice(1);
    const { code, stderr } = await weir(
      words.map((each) => each.replace(/^cluster\.yaml$/, cluster)),
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  it("names commands", () => expect(commands.length).toBeGreaterThan(2));

  it("prints the schema that is published", async () => {
    const { stdout } = await weir(["schema"]);
    const published = readFileSync("schema/inference-route.schema.json", "utf8");
    expect(parse(stdout)).toEqual(parse(published));
  });
});
