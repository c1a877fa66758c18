import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";
import { type GatewayClient, gatewayClient } from "../e2e/gateway-client.ts";
import { type Mesh, startMesh } from "../istio/mesh.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";
import { askShortStreams } from "./short-streams.ts";

const streams = 5_000;

/** What Weir renders for pods that run llama.cpp. */
function manifests(): string {
  const document = parse(readFileSync("examples/canary/route.yaml", "utf8"));
  document.spec.server = "llama.cpp";
  document.spec.service.name = "llm";
  delete document.spec.rateLimit;
  delete document.spec.canary.force;
  document.spec.canary.stickyBy = [{ header: "x-user-id" }];
  const { problems, routes } = parseRoutes(stringify(document));
  if (!routes[0]) throw new Error(JSON.stringify(problems));
  const state = create(RouteStateSchema, draftRoute(routes[0], undefined));
  const rendered = renderIstio([state], { wasmUrl: `file://${resolve("build/weir.wasm")}` });
  expect(rendered.problems).toEqual([]);
  return toYaml(rendered.manifests);
}

describe("the rendered manifests on Istio's own discovery", () => {
  let models: Models;
  let llama: Llama;
  let mesh: Mesh;
  let client: GatewayClient;
  beforeAll(async () => {
    models = writeModels();
    llama = await startLlama(models.fast);
    const port = Number(llama.endpoint.split(":")[1]);
    mesh = await startMesh("llm", "inference", { v1: port, v2: port });
    await mesh.apply(manifests());
    client = gatewayClient(mesh.gateway);
  }, 900_000);
  afterAll(async () => {
    client?.close();
    await mesh?.stop();
    await llama?.stop();
    models?.remove();
  });

  it(`answer each of ${streams} streams of llama.cpp's server once, and none fails`, async () => {
    const served = async () => (await client.get("/v1/models")).status;
    await expect.poll(served, { timeout: 30_000 }).toBe(200);
    expect(await askShortStreams(client, streams, 8)).toEqual([]);
    expect((await llama.counters()).predictedTokens).toBe(streams);
  }, 120_000);
});
