import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { stringify } from "yaml";
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
  const route = {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "mine", namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      variants: [{ name: "stable", weight: 100, endpoints: [server.endpoint] }],
    },
  };
  writeFileSync(file, stringify(route));
  up = await weirUp(["--route", file, "--no-pods"], {}, 0);
});
afterAll(async () => {
  await up?.stop();
  await server?.close();
  rmSync(folder, { recursive: true });
});

it("weir up --no-pods stands before a server that is there already", async () => {
  const client = gatewayClient(up.gateway);
  const { status } = await client.get("/v1/models");
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
