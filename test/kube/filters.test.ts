import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pushWasm, RegistryError } from "../../control/oci/index.ts";
import { weir } from "../e2e/weir-up.ts";
import { buildIstio, run } from "../istio/istio-tools.ts";
import { eventually, type Program, startProgram } from "./processes.ts";

describe("weir filters push", () => {
  let tools: Record<string, string>;
  let registry: Program;
  let address: string;
  beforeAll(async () => {
    tools = buildIstio("cluster-tools");
    registry = startProgram(tools["cluster-tools"] ?? "", ["registry"]);
    address = await eventually(
      async () => /listening (\S+)/.exec(registry.said())?.[1],
      "the registry listens",
    );
  }, 40 * 60_000);
  afterAll(() => registry?.stop());

  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const fetched = (...args: string[]) => run(tools["cluster-tools"], "fetch", ...args);

  test("Istio's own agent loads what was pushed, by the digest that was printed", async () => {
    const push = () => weir(["filters", "push", `oci://${address}/team/weir:0.1`, "--plain-http"]);
    const { code, stdout } = await push();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^oci:\/\/127\.0\.0\.1:\d+\/team\/weir@sha256:[0-9a-f]{64}\n$/);
    const url = stdout.trim();
    const module = sha256(readFileSync("build/weir.wasm"));
    expect(fetched(url).stdout).toContain(`module ${module}`);
    const digest = url.split("sha256:")[1] ?? "";
    expect(fetched(`oci://${address}/team/weir:0.1`, digest).stdout).toContain(`module ${module}`);
    const wrong = fetched(`oci://${address}/team/weir:0.1`, "0".repeat(64));
    expect(wrong.stderr).toContain("does not match");
    expect((await push()).stdout).toBe(stdout);
  });

  test("says what is wrong with a reference, and with a registry", async () => {
    const { code, stderr } = await weir(["filters", "push", "oci://registry.example.com/weir"]);
    expect(code).toBe(2);
    expect(stderr).toContain("is not of the form oci://HOST/REPOSITORY:TAG");
    const nobody = { registry: "127.0.0.1:9", repository: "weir", tag: "1" };
    await expect(pushWasm(nobody, Buffer.from("x"), { plainHttp: true })).rejects.toThrow(
      RegistryError,
    );
  });
});
