import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio } from "../../control/istio/index.ts";
import {
  besideWeir,
  draftRoute,
  filterConfig,
  filterConfigText,
  headerModule,
  parseRoute,
} from "../../control/route/index.ts";
import { compiled } from "../filters/module.ts";
import { createSharedState } from "../host/proxy.ts";
import { startWorker } from "../host/worker.ts";
import { exampleDocument } from "./documents.ts";

/** The example's state, with more members of its rate limit or of its gold tier. */
function stateWith(rateLimit: object = {}, gold: object = {}) {
  const document = exampleDocument() as any;
  Object.assign(document.spec.rateLimit, rateLimit);
  Object.assign(document.spec.rateLimit.tiers.gold, gold);
  const { routes, problems } = parseRoute(document);
  if (!routes[0]) throw new Error(JSON.stringify(problems));
  return create(RouteStateSchema, draftRoute(routes[0], undefined));
}

const asking: [string, ReturnType<typeof stateWith>][] = [
  ["a tier's limit of requests in flight", stateWith({}, { concurrent: 8 })],
  ["a limit that refuses all", stateWith({}, { concurrent: 0 })],
  ["the route's limit of requests in flight", stateWith({ concurrent: 100 })],
  ["overload", stateWith({ overload: {} })],
  ["a fleet-wide limit", stateWith({ fleet: {} })],
  ["a tier's objective", stateWith({}, { objective: "interactive" })],
  ["callers that are refused", stateWith({ unknownCaller: "refuse" })],
  [
    "a tier that is forbidden",
    stateWith({
      tiers: {
        gold: { requestsPerSecond: 1 },
        silver: { requestsPerSecond: 1 },
        bronze: { forbidden: true },
      },
    }),
  ],
  ["schedulers' headers", stateWith({ forward: { scheduler: true } })],
  ["certificates as identity", stateWith({ identity: [{ san: "connection" }] })],
  [
    "ranges of addresses",
    stateWith({ identity: [{ sourceIp: true }], tenants: { "10.0.0.0/8": "gold" } }),
  ],
];

it("is weir.wasm where nothing needs more", () => {
  expect(headerModule([stateWith()])).toBe("weir");
  expect(headerModule([])).toBe("weir");
});

describe("is weir-full.wasm for", () => {
  it.each(asking)("%s, also among routes without", (_name, state) => {
    expect(headerModule([stateWith(), state])).toBe("weir-full");
  });
  it.each(asking)("%s, in the manifests as well", (_name, state) => {
    const { manifests } = renderIstio([state]);
    const urls = manifests.flatMap(({ object }) => (object.spec as any)?.wasm?.url ?? []);
    expect(urls).toEqual(["file:///etc/weir/weir-full.wasm"]);
  });
});

it("is not loaded with the digest of weir.wasm", () => {
  const wasmSha256 = "ab".repeat(32);
  for (const [, state] of asking) {
    const { manifests, problems } = renderIstio([state], { wasmSha256 });
    expect(manifests).toEqual([]);
    expect(problems.map(({ message }) => message)).toEqual([
      "wasm sha256 belongs to file:///etc/weir/weir.wasm, but the routes need weir-full.wasm: give the URL and digest of weir-full.wasm",
    ]);
    const wasmUrl = "https://files.example.com/weir-full.wasm";
    expect(renderIstio([state], { wasmSha256, wasmUrl }).problems).toEqual([]);
  }
});

it("lies beside weir.wasm, unless that has another name", () => {
  expect(besideWeir("build/weir.wasm", "weir-full")).toBe("build/weir-full.wasm");
  expect(besideWeir("weir.wasm", "weir")).toBe("weir.wasm");
  expect(besideWeir("oci://registry.example.com/weir:1", "weir-full")).toBe(
    "oci://registry.example.com/weir:1",
  );
  expect(besideWeir("build/weir.wasm", "token-limit")).toBe("build/token-limit.wasm");
  expect(besideWeir("oci://registry.example.com/weir:1", "token-limit")).toBeUndefined();
});

it("takes every configuration that asks for it", () => {
  for (const [name, state] of asking) {
    const shared = createSharedState();
    const text = filterConfigText(filterConfig([state]));
    expect(startWorker(compiled("weir-full"), shared).configure(1, text), name).toBe(true);
    expect(startWorker(compiled("weir"), shared).configure(1, text), name).toBe(false);
  }
});
