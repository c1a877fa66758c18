import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** The package as someone gets it who has nothing of this folder. */
describe("the package, installed into an empty folder", () => {
  let folder: string;
  const installed = (path: string) => join(folder, "node_modules/weir", path);
  /** No server is asked: there is none at this address. */
  const weir = (...args: string[]) =>
    execFileSync(join(folder, "node_modules/.bin/weir"), args, {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, WEIR_SERVER: "127.0.0.1:1" },
      stdio: ["ignore", "pipe", "pipe"],
    });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "weir-package-"));
    // The build was made before any test: packing must not make it anew below the others.
    const packed = execFileSync(
      "npm",
      ["pack", "--ignore-scripts", "--json", "--pack-destination", folder],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
    writeFileSync(join(folder, "package.json"), '{"private":true}');
    execFileSync(
      "npm",
      [
        ...["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        join(folder, filename),
      ],
      { cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
    );
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  it("has the commands", () => {
    expect(weir("--help")).toContain("rollout");
    expect(weir("--version").trim()).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
  });

  it("checks and renders a route without a server", () => {
    const route = resolve("examples/canary/route.yaml");
    expect(weir("check", "-f", route, "--fail-on", "never")).toContain("1 route is valid");
    expect(weir("render", "-f", route)).toBe(readFileSync("examples/canary/istio.yaml", "utf8"));
  });

  it("has every module with the digest that is listed", () => {
    const listed = JSON.parse(readFileSync(installed("build/filters.json"), "utf8")) as Record<
      string,
      { bytes: number; sha256: string }
    >;
    const modules = readdirSync(installed("build")).filter((name) => name.endsWith(".wasm"));
    expect(modules.map((name) => basename(name, ".wasm")).sort()).toEqual(
      Object.keys(listed).sort(),
    );
    for (const [name, { bytes, sha256 }] of Object.entries(listed)) {
      const wasm = readFileSync(installed(`build/${name}.wasm`));
      expect(wasm.length).toBe(bytes);
      expect(createHash("sha256").update(wasm).digest("hex")).toBe(sha256);
    }
  });

  it("says where the modules come from, and what it runs with", () => {
    const { subject, predicate } = JSON.parse(
      readFileSync(installed("build/provenance.json"), "utf8"),
    );
    const weirWasm = readFileSync(installed("build/weir.wasm"));
    expect(subject).toContainEqual({
      name: "weir.wasm",
      digest: { sha256: createHash("sha256").update(weirWasm).digest("hex") },
    });
    const [sources, compiler] = predicate.buildDefinition.resolvedDependencies;
    expect(sources.digest.gitCommit).toMatch(/^[0-9a-f]{40}$/);
    expect(compiler.uri).toMatch(/^pkg:npm\/assemblyscript@\d/);
    const { components } = JSON.parse(readFileSync(installed("build/sbom.json"), "utf8")) as {
      components: { name: string; version: string }[];
    };
    // Everything that npm put there is on the bill.
    const names = new Set(components.map(({ name, version }) => `${name}@${version}`));
    const lock = JSON.parse(readFileSync(join(folder, "node_modules/.package-lock.json"), "utf8"));
    const own = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).dependencies);
    expect(own.filter((name) => !components.some((each) => each.name === name))).toEqual([]);
    const others = Object.entries(lock.packages as Record<string, { version: string }>)
      .map(([path, { version }]) => `${path.split("node_modules/").at(-1)}@${version}`)
      .filter((each) => !each.startsWith("weir@"));
    expect(others.length).toBeGreaterThan(own.length);
    expect(
      others.filter((each) => own.some((name) => each.startsWith(`${name}@`)) && !names.has(each)),
    ).toEqual([]);
  });

  it("does not run with a module that is not the one listed", () => {
    const path = installed("build/weir.wasm");
    const before = readFileSync(path);
    writeFileSync(path, Buffer.concat([before, Buffer.from([0, 1, 0])]));
    try {
      weir("serve", "--store", "memory", "--listen", "127.0.0.1:0", "--xds", "127.0.0.1:0");
      expect.unreachable("it should not have started");
    } catch (error) {
      expect((error as { stderr: string }).stderr).toMatch(
        /weir\.wasm does not match filters\.json/,
      );
    } finally {
      writeFileSync(path, before);
    }
  });
});
