import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { freePorts } from "../free-ports.ts";
import { createSharedState, type SharedState } from "../host/proxy.ts";
import { startWorker, type Worker } from "../host/worker.ts";
import { expectShown, stepsOf } from "./pages.ts";
import { createReader, type Reader } from "./reader.ts";

const page = "docs/own-filter/README.md";
const module = ".cache/own-filter.wasm";
const steps = stepsOf(page);
let reader: Reader;

beforeAll(async () => {
  reader = await createReader();
  const [compile] = steps;
  expectShown(await reader.run(compile?.commands ?? ""), compile?.shown ?? "");
});
afterAll(() => reader?.leave());

describe("the example of a filter, in the emulated host", () => {
  let shared: SharedState;
  let worker: Worker;
  beforeAll(() => {
    shared = createSharedState();
    worker = startWorker(new WebAssembly.Module(readFileSync(join(reader.path, module))), shared);
    expect(worker.configure(1, "/v1/")).toBe(true);
  });
  const ask = (path: string, headers: Record<string, string> = {}, body = true) =>
    worker.request([[":path", path], [":method", "POST"], ...Object.entries(headers)], { body });

  it.each<[string, string, Record<string, string>, boolean]>([
    ["JSON", "/v1/embeddings", { "content-type": "application/json" }, true],
    [
      "JSON in capitals, with a parameter",
      "/v1/x",
      { "content-type": "Application/JSON; a=b" },
      true,
    ],
    ["a request without a body", "/v1/models", {}, false],
    ["another path", "/v2/models", {}, true],
    ["a path that is shorter", "/v1", {}, true],
  ])("passes %s", (_name, path, headers, body) => {
    const { action, reply } = ask(path, headers, body);
    expect({ action, reply }).toEqual({ action: 0, reply: undefined });
  });

  it.each<[string, Record<string, string>]>([
    ["no content-type", {}],
    ["an empty one", { "content-type": "" }],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["what only begins like JSON", { "content-type": "application/js" }],
  ])("refuses a body with %s, and counts it", (_name, headers) => {
    const counted = () => [...shared.metrics.values()][0]?.value ?? 0n;
    const before = counted();
    const { action, reply } = ask("/v1/chat/completions", headers);
    expect(action).toBe(1);
    expect(reply).toMatchObject({ status: 415 });
    expect(reply?.headers).toEqual([["content-type", "application/problem+json"]]);
    expect(counted()).toBe(before + 1n);
  });

  it("refuses a configuration that is no path and goes on with the one before", () => {
    for (const config of ["", "v1"]) expect(worker.configure(2, config)).toBe(false);
    expect(shared.log.at(-1)?.message).toContain("a path that begins with /");
    expect(ask("/v1/x").action).toBe(1);
    expect(worker.configure(2, "/v2/")).toBe(true);
    expect(ask("/v1/x").action).toBe(0);
    expect(ask("/v2/x").action).toBe(1);
    worker.configure(3, "/v1/");
  });

  it("takes no more memory over 10,000 configurations, and defines one metric", () => {
    const before = worker.memoryBytes();
    for (let i = 0; i < 10_000; i++) worker.configure(4, "/v1/");
    expect(worker.memoryBytes()).toBe(before);
    expect(shared.definitions).toBe(1);
  });
});

it("the example of a filter answers in a real Envoy as its page shows", async () => {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const moved = (text: string) =>
    text.replaceAll("9901", String(adminPort)).replaceAll("10000", String(port));
  let envoy: Envoy | undefined;
  try {
    envoy = await startEnvoy({
      binary: await findEnvoy(() => {}),
      bootstrap: moved(readFileSync("docs/own-filter/envoy.yaml", "utf8")).replace(
        module,
        join(reader.path, module),
      ),
      admin: { host: "127.0.0.1", port: adminPort },
      concurrency: 1,
    });
    const [, asks] = steps;
    expectShown(await reader.run(moved(asks?.commands ?? "")), asks?.shown ?? "");
  } finally {
    await envoy?.stop();
  }
});
