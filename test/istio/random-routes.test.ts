import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { type RenderOptions, renderIstio, toYaml } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";
import { buildIstio, type IstioTools, run } from "./istio-tools.ts";
import { createRandom, randomRoute } from "./random-route.ts";

const routes = 2000;
const seed = Number(process.env.WEIR_SEED ?? 20_260_921);
const buildTimeoutMs = 40 * 60_000;

describe(`${routes} random routes (WEIR_SEED=${seed})`, () => {
  let tools: IstioTools;
  let scratch: string;
  /** Files of manifests by channel of the Gateway API, and what Weir refused. */
  const files: Record<string, string> = {};
  const refused = new Map<string, number>();
  let accepted = 0;
  let objects = 0;

  beforeAll(() => {
    tools = buildIstio("crd-check", "istioctl");
    scratch = mkdtempSync(join(tmpdir(), "weir-random-"));
    const texts: Record<string, string[]> = { standard: [], experimental: [] };
    const random = createRandom(seed);
    for (let index = 0; index < routes; index++) {
      const text = randomRoute(random, index);
      const gatewayApi = /service: llm-\d+-\d|inferencePool/.test(text) && random.chance(0.7);
      const gatewayApiChannel = random.pick(["standard", "experimental"] as const);
      const options: RenderOptions = {
        istioVersion: random.pick(["1.28", "1.29.6", "1.30", "1.31.0"]),
        target: gatewayApi ? "gateway-api" : "istio",
        gatewayApiChannel,
        wasmUrl: random.pick([
          "file:///etc/weir/weir.wasm",
          "oci://ghcr.io/weir/weir:1",
          undefined,
        ]),
      };
      const parsed = parseRoutes(text);
      const states = parsed.routes.map((route) =>
        create(RouteStateSchema, draftRoute(route, undefined)),
      );
      const { manifests, problems } = renderIstio(states, options);
      for (const { code } of [...parsed.problems, ...problems])
        refused.set(code, (refused.get(code) ?? 0) + 1);
      if (manifests.length === 0) continue;
      accepted++;
      objects += manifests.length;
      texts[gatewayApi ? gatewayApiChannel : "standard"]?.push(toYaml(manifests));
    }
    for (const [channel, parts] of Object.entries(texts)) {
      files[channel] = join(scratch, `${channel}.yaml`);
      writeFileSync(files[channel], parts.join("---\n"));
    }
  }, buildTimeoutMs);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test("most are accepted, so that the validators see something", () => {
    expect(accepted, JSON.stringify([...refused])).toBeGreaterThan(routes * 0.7);
    expect(objects).toBeGreaterThan(accepted * 2);
  });

  test.each(["standard", "experimental"])(
    "the schema and CEL rules accept all that Weir renders for the %s channel",
    (channel) => {
      const { code, stdout } = run(
        tools["crd-check"],
        "--channel",
        channel,
        String(files[channel]),
      );
      expect(stdout.split("\n").slice(0, 20).join("\n")).toMatch(/^checked \d+ objects\n$/);
      expect(code).toBe(0);
    },
    300_000,
  );

  test.each(["standard", "experimental"])(
    "istioctl validate accepts all that Weir renders for the %s channel",
    (channel) => {
      const { code, stderr, stdout } = run(
        tools.istioctl,
        "validate",
        "-f",
        String(files[channel]),
      );
      const said = (stdout + stderr).split("\n").filter((line) => line.trim() !== "");
      const unexpected = said.filter(
        (line) =>
          !line.includes("EnvoyFilter exposes internal implementation details") &&
          !/^"[^"]*" (?:is valid|has warnings: )$/.test(line),
      );
      expect(unexpected.slice(0, 20)).toEqual([]);
      expect(code).toBe(0);
    },
    300_000,
  );
});
