import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { weir } from "../e2e/weir-up.ts";

const example = "examples/canary/route.yaml";
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-cli-"));
  writeFileSync(join(directory, "binary"), Buffer.from([0, 1, 2, 255, 254]));
  writeFileSync(join(directory, "empty"), "");
  writeFileSync(join(directory, "huge"), "x".repeat((1 << 20) + 1));
  writeFileSync(
    join(directory, "wrong.yaml"),
    "apiVersion: weir.dev/v1alpha1\nkind: InferenceRoute\nmetadata: {name: A}\nspec: {service: {name: llm}}\n",
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("wrong usage ends with 2, one line on standard error and nothing on standard output", () => {
  it.each<[string, string[], RegExp]>([
    ["an unknown command", ["shfit"], /unknown command 'shfit'[\s\S]*shift/],
    ["an unknown flag", ["get", "--sever", "x"], /unknown option '--sever'[\s\S]*--server/],
    ["a missing flag", ["render"], /required option '-f, --file <file>'/],
    [
      "a file that is not there",
      ["render", "-f", "nowhere.yaml"],
      /cannot read nowhere.yaml: there is no such file/,
    ],
    ["a directory", ["check", "-f", "examples"], /examples is not a file/],
    ["a binary file", ["check", "-f", "@/binary"], /binary is not a text file/],
    ["an empty file", ["check", "-f", "@/empty"], /empty is empty/],
    ["a file of over a megabyte", ["check", "-f", "@/huge"], /at most 1048576 are allowed/],
    ["nothing on standard input", ["check", "-f", "-"], /standard input is empty/],
    ["an address without a port", ["serve", "--listen", "127.0.0.1"], /give HOST:PORT/],
    ["a weight that is none", ["shift", "chat", "canary"], /give VARIANT=PERCENT/],
    ["a weight twice", ["shift", "chat", "a=1", "a=2"], /a is given twice/],
    [
      "a negative wait",
      ["shift", "chat", "a=1", "--timeout", "-5"],
      /give seconds from 0 to 86400/,
    ],
    ["a wait that is no number", ["shift", "chat", "a=1", "--timeout", "x"], /give seconds from 0/],
    ["a count that is none", ["audit", "--limit", "x"], /give a whole number from 1 to 10000/],
    ["an empty node", ["bootstrap", "--node", ""], /give 1 to 256 characters/],
    ["an empty token file", ["serve", "--token-file", "@/empty"], /the token file .* is empty/],
    ["an empty token file of a caller", ["get", "--token-file", "@/empty"], /token file .* empty/],
    ["a token for no one", ["token", ""], /give 1 to 1024 characters/],
    [
      "a seed that is no number",
      [
        ...["rollout", "simulate", "-f", "x", "--route", "x"],
        ...["--synthetic", "none", "--seed", "x"],
      ],
      /give a whole number from 0 to 4294967295/,
    ],
  ])("%s", async (_name, args, words) => {
    const { code, stdout, stderr } = await weir(args.map((arg) => arg.replace("@", directory)));
    expect(stderr).toMatch(words);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
  it("no arguments at all, with help", async () => {
    const { code, stdout, stderr } = await weir([]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: weir");
  });
});

describe("a refusal ends with 1 and says everything at once", () => {
  it("for a document with several things wrong", async () => {
    const { code, stdout, stderr } = await weir(["check", "-f", join(directory, "wrong.yaml")]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain('metadata.name: name must be a DNS-1123 label, not "A" [bad-value]');
    expect(stderr).toContain("spec.hosts: hosts is required [missing-field]");
    expect(stderr.split("\n").length).toBeGreaterThan(4);
  });
  it("for a control service that is not there", async () => {
    const { code, stderr } = await weir(["get", "--server", "127.0.0.1:1"]);
    expect(code).toBe(1);
    expect(stderr).toContain("no control service answers at http://127.0.0.1:1");
  });
  it("for an address beyond loopback without a token", async () => {
    const { code, stderr } = await weir(["serve", "--listen", "0.0.0.0:0", "--store", "memory"]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      "--listen 0.0.0.0 is not a loopback address: listening there needs authentication",
    );
  });
  it("for a port that is taken", async () => {
    const child = spawn(
      process.execPath,
      [
        "dist/control/main.js",
        "serve",
        "--store",
        "memory",
        "--listen",
        "127.0.0.1:0",
        "--xds",
        "127.0.0.1:0",
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const line = await new Promise<string>((resolve) =>
      child.stderr.once("data", (chunk: Buffer) => resolve(chunk.toString())),
    );
    const taken = /http:\/\/(127\.0\.0\.1:\d+)/.exec(line)?.[1] ?? "";
    const { code, stderr } = await weir([
      "serve",
      "--store",
      "memory",
      "--listen",
      taken,
      "--xds",
      "127.0.0.1:0",
    ]);
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `cannot listen on ${taken}: the port is in use; choose another address with --listen`,
    );
  });
});

describe("without a server", () => {
  it("checks", async () => {
    expect(await weir(["check", "-f", example])).toMatchObject({
      code: 0,
      stdout: "1 route is valid\n",
    });
  });
  it("renders the same bytes each time", async () => {
    const first = await weir(["render", "-f", example]);
    expect(first.code).toBe(0);
    expect(first.stdout).toContain("kind: VirtualService");
    expect((await weir(["render", "-f", example])).stdout).toBe(first.stdout);
  });
  it("prints a bootstrap", async () => {
    const { stdout } = await weir(["bootstrap", "--node", "gateway-1", "--xds", "10.0.0.1:18000"]);
    expect(stdout).toContain("id: gateway-1");
    expect(stdout).toContain("address: 10.0.0.1");
  });
  it("ends well when the reader leaves early", async () => {
    const child = spawn(
      "sh",
      ["-c", `${process.execPath} dist/control/main.js render -f ${example} | head -1`],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk;
    });
    await new Promise((resolve) => child.on("close", resolve));
    expect(stderr).toBe("");
  });
});
