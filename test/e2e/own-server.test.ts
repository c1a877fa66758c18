import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { blocksOf } from "../docs/pages.ts";
import { type Backend, startBackend } from "./backend.ts";
import { gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

let server: Backend;
let folder: string;
let up: WeirUp;
let file: string;

beforeAll(async () => {
  server = await startBackend("mine");
  folder = mkdtempSync(join(tmpdir(), "weir-own-"));
  file = join(folder, "route.yaml");
  const [printed = ""] = blocksOf("docs/inference-servers.md", "yaml");
  expect(printed).toContain("127.0.0.1:8001");
  writeFileSync(file, printed.replace("127.0.0.1:8001", server.endpoint));
  up = await weirUp(["--route", file, "--no-pods"], {}, 0);
});
afterAll(async () => {
  await up?.stop();
  await server?.close();
  rmSync(folder, { recursive: true });
});

it("weir up --no-pods stands before a server that is there already, by the route that is printed", async () => {
  const client = gatewayClient(up.gateway);
  const { status } = await client.get("/v1/models", { host: "llm.example.com" });
  client.close();
  expect(status).toBe(200);
  expect(server.arrived.some(({ url }) => url === "/v1/models")).toBe(true);
  expect(await up.weir("status", "mine")).toMatch(/^inference\/mine /);
});

it("weir up says so where a server listens on the address of a pod", async () => {
  await expect(weirUp(["--route", file], {}, 0)).rejects.toThrow(
    "choose others with --pods, or --no-pods if your own server listens there",
  );
});
