import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { readObjects } from "../../control/objects/index.ts";
import { clusterOf } from "./cluster-of.ts";
import { buildIstio, type IstioTools, run, type Verdict } from "./istio-tools.ts";
import { examples, optionsOf, statesOf } from "./render-file.ts";

const buildTimeoutMs = 40 * 60_000;

const folders = [
  ...examples.map((name) => `examples/${name}`),
  ...["adopt", "again", "another-namespace"].map((name) => `test/istio/merging/golden/${name}`),
  ...readdirSync("test/istio/golden")
    .filter((name) => !name.startsWith("refused-"))
    .map((name) => `test/istio/golden/${name}`),
];

describe("Istio's own validators", () => {
  let tools: IstioTools;
  let scratch: string;
  beforeAll(() => {
    tools = buildIstio("crd-check", "istioctl");
    scratch = mkdtempSync(join(tmpdir(), "weir-istio-"));
  }, buildTimeoutMs);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  const write = (name: string, text: string): string => {
    const file = join(scratch, name);
    writeFileSync(file, text);
    return file;
  };
  const analyze = (...files: string[]) =>
    findings(
      run(tools.istioctl, "analyze", "--use-kube=false", "-A", "-o", "json", ...files).stdout,
    );

  /** The objects that a merge starts from; what is found in them is not Weir's to cure. */
  const stateBefore = (folder: string): string[] => {
    const file = `${folder}/existing.yaml`;
    if (!existsSync(file)) return [];
    const objects = readObjects(readFileSync(file, "utf8")).map((object) => JSON.stringify(object));
    return [write("existing.yaml", objects.join("\n---\n"))];
  };

  test.each(["standard", "experimental"])(
    "the API server's schema and CEL rules accept every rendering for the %s channel",
    (channel) => {
      const files = folders
        .filter((folder) => channelOf(folder) === channel)
        .map((folder) => `${folder}/istio.yaml`);
      const { code, stdout } = run(tools["crd-check"], "--channel", channel, ...files);
      expect(stdout).toMatch(/^checked [1-9]\d* objects\n$/);
      expect(code).toBe(0);
    },
  );

  test.each(folders)("istioctl validate accepts %s", (folder) => {
    const file = `${folder}/istio.yaml`;
    const { code, stdout, stderr } = run(tools.istioctl, "validate", "-f", file);
    const known = stateBefore(folder).flatMap((each) =>
      lines(run(tools.istioctl, "validate", "-f", each)),
    );
    const unexpected = lines({ code, stdout, stderr }).filter(
      (line) =>
        !known.includes(line) &&
        !line.includes("EnvoyFilter exposes internal implementation details") &&
        ![`"${file}" is valid`, `"${file}" has warnings: `].includes(line),
    );
    expect(unexpected).toEqual([]);
    expect(code).toBe(0);
  });

  test.each(folders)("istioctl analyze finds nothing but IST0133 in %s", (folder) => {
    const cluster = clusterOf(statesOf(readFileSync(`${folder}/route.yaml`, "utf8")));
    const rendered = `${folder}/istio.yaml`;
    const around = write("cluster.yaml", cluster);
    const known = stateBefore(folder).flatMap((each) => analyze(each, around));
    const found = analyze(rendered, around).filter(
      ({ message }) => !known.some((each) => each.message === message),
    );
    const filters = readFileSync(rendered, "utf8").match(/^kind: EnvoyFilter$/gm) ?? [];
    expect(found.map(({ code }) => code)).toEqual(filters.map(() => "IST0133"));
  });

  test("Kubernetes reads every word back as it was meant", () => {
    const file = "test/istio/golden/odd-names/istio.yaml";
    const read = run(tools["crd-check"], "--print", file).stdout.trim().split("\n");
    const meant = parseAllDocuments(readFileSync(file, "utf8")).map((each) => each.toJS());
    expect(read.map((line) => JSON.parse(line))).toEqual(meant);
  });

  describe("they do refuse what is wrong", () => {
    const good = readFileSync("examples/canary/istio.yaml", "utf8");
    const change = (from: string, to: string): string => {
      expect(good).toContain(from);
      return write("changed.yaml", good.replace(from, to));
    };

    test("the schema: a timeout of 0s", () => {
      const { code, stdout } = run(tools["crd-check"], change("timeout: 600s", "timeout: 0s"));
      expect(code).toBe(1);
      expect(stdout).toContain("must be a valid duration greater than 1ms");
    });

    test("the schema: a duration that the Gateway API cannot read, and a field of another channel", () => {
      const route = readFileSync("test/istio/golden/gateway-api-pools/istio.yaml", "utf8");
      const bad = write("bad-route.yaml", route.replace("600s", "600.5s"));
      const { stdout } = run(tools["crd-check"], "--channel", "experimental", bad);
      expect(stdout).toContain("spec.rules[0].timeouts.request");
      const standard = run(tools["crd-check"], "test/istio/golden/gateway-api-pools/istio.yaml");
      expect(standard.stdout).toContain("unknown fields");
    });

    test("an autoscaler's unknown field", () => {
      const text = readFileSync("test/istio/golden/scale-by-queue/istio.yaml", "utf8");
      const bad = write("bad-scaler.yaml", text.replace("maxReplicas:", "mostReplicas:"));
      expect(run(tools["crd-check"], bad).stdout).toContain('unknown field "mostReplicas"');
    });

    test("the schema: an unknown field", () => {
      const { stdout } = run(tools["crd-check"], change("failStrategy:", "failureStrategy:"));
      expect(stdout).toContain("unknown fields [spec.wasm.failureStrategy]");
    });

    test("the schema: what no filter does after a trap", () => {
      const { stdout } = run(tools["crd-check"], change("FAIL_RELOAD", "FAIL_LATER"));
      expect(stdout).toContain('"FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"');
    });

    test("istioctl validate: weights of nothing", () => {
      const { code, stderr } = run(
        tools.istioctl,
        "validate",
        "-f",
        change("weight: 90", "weight: -90"),
      );
      expect(code).not.toBe(0);
      expect(stderr).toContain("weight -90 < 0");
    });

    test("istioctl analyze: a route to a subset that is not there", () => {
      const cluster = clusterOf(statesOf(readFileSync("examples/canary/route.yaml", "utf8")));
      const changed = change("subset: canary", "subset: canari");
      const found = analyze(changed, write("cluster.yaml", cluster));
      expect(found.map(({ code }) => code)).toContain("IST0101");
    });
  });
});

/** Channel of the Gateway API that a folder is rendered for. */
function channelOf(folder: string): string {
  const options = optionsOf(folder);
  return options.gatewayApiChannel ?? "standard";
}

/** What a program said, blank lines left out. */
function lines({ stdout, stderr }: Verdict): string[] {
  return (stdout + stderr).split("\n").filter((line) => line.trim() !== "");
}

/** The findings of istioctl's JSON, which stands among its progress messages. */
function findings(output: string): { code: string; message: string }[] {
  const json = /^\[[\s\S]*^\]/m.exec(output)?.[0] ?? "[]";
  return JSON.parse(json) as { code: string; message: string }[];
}
