import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { importsOf, sourcesBelow } from "./sources.ts";

/**
 * Which rooms a room may import, besides itself and what is generated. Arrows
 * only point down: from what runs to what is pure.
 */
const control: Record<string, string[]> = {
  "nesting.ts": [],
  route: ["nesting.ts"],
  etcd: [],
  auth: ["nesting.ts"],
  kube: ["nesting.ts"],
  store: ["route", "etcd", "kube"],
  leader: ["etcd", "kube"],
  report: [],
  loads: ["route"],
  peers: ["report"],
  rollout: ["route", "store", "report", "loads"],
  signals: ["report"],
  metrics: ["report", "xds"],
  objects: ["nesting.ts"],
  lint: ["nesting.ts", "route", "objects"],
  istio: ["route", "objects"],
  controller: ["route", "istio", "store", "leader", "kube", "lint"],
  xds: ["route"],
  envoy: [],
  pods: [],
  oci: [],
  load: [],
  telemetry: [],
  drill: ["route", "store"],
  editions: ["route", "rollout", "store", "xds"],
  web: [],
  api: ["auth", "route", "store", "xds", "report", "rollout", "signals", "peers", "loads"],
  cli: [
    "auth",
    "store",
    "route",
    "rollout",
    "objects",
    "lint",
    "istio",
    "xds",
    "envoy",
    "pods",
    "oci",
    "load",
    "telemetry",
    "filter-code.ts",
    "hosts.ts",
    "server.ts",
  ],
  "credentials.ts": [],
  "going-away.ts": [],
  "hosts.ts": [],
  "limit-resets.ts": [],
  "hold-empty.ts": [],
  "sessions.ts": ["limit-resets.ts"],
  "unread.ts": [],
  "listen.ts": ["auth", "xds", "limit-resets.ts", "sessions.ts"],
  "filter-code.ts": ["route", "xds"],
  "publish.ts": ["route", "rollout", "store", "xds", "editions", "filter-code.ts"],
  "rates.ts": ["auth", "api"],
  "costs.ts": ["api"],
  "calls.ts": ["costs.ts"],
  "requests.ts": [
    "auth",
    "api",
    "metrics",
    "telemetry",
    "web",
    "calls.ts",
    "costs.ts",
    "credentials.ts",
    "going-away.ts",
    "hosts.ts",
    "limit-resets.ts",
    "rates.ts",
    "unread.ts",
  ],
  "xds-streams.ts": ["auth", "xds", "telemetry", "credentials.ts", "limit-resets.ts"],
  "rendering.ts": ["api", "istio"],
  "server.ts": [
    "requests.ts",
    "going-away.ts",
    "rendering.ts",
    "xds-streams.ts",
    "hold-empty.ts",
    "auth",
    "leader",
    "peers",
    "publish.ts",
    "api",
    "controller",
    "store",
    "xds",
    "report",
    "rollout",
    "signals",
    "drill",
    "telemetry",
    "metrics",
    "istio",
    "route",
    "loads",
    "web",
    "listen.ts",
    "filter-code.ts",
  ],
  "main.ts": ["cli"],
};
const filters: Record<string, string[]> = {
  sdk: [],
  format: ["sdk"],
  identity: ["sdk", "format"],
  match: ["sdk", "format"],
  pressure: ["sdk"],
  document: ["sdk", "format"],
  report: ["sdk", "format", "document"],
  refusal: ["sdk", "format"],
  plugin: ["sdk", "format", "document", "report"],
  "rate-limit": ["sdk", "format", "identity", "document", "report", "refusal", "plugin", "canary"],
  compression: ["sdk", "format", "match", "pressure", "document", "report", "plugin"],
  shadow: ["sdk", "format", "identity", "match", "pressure", "document", "report", "plugin"],
  canary: ["sdk", "format", "identity", "document", "report", "plugin"],
  measure: ["sdk", "format", "report"],
  "token-limit": [
    "sdk",
    "format",
    "identity",
    "document",
    "report",
    "refusal",
    "measure",
    "plugin",
  ],
  all: ["sdk", "document", "plugin", "pressure", "rate-limit", "compression", "shadow", "canary"],
};

const roomOf = (file: string) => file.split("/")[1] ?? "";

describe.each([
  ["control", control],
  ["filters", filters],
])("%s/", (folder, rooms) => {
  const files = sourcesBelow(folder);

  it("has only rooms with a place in the order", () => {
    expect([...new Set(files.map(roomOf))].sort()).toEqual(Object.keys(rooms).sort());
  });
  it("imports only downwards, and nothing from the other side", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => !target.startsWith("control/gen/") && roomOf(target) !== roomOf(file))
        .filter(
          (target) =>
            !target.startsWith(`${folder}/`) || !rooms[roomOf(file)]?.includes(roomOf(target)),
        )
        .map((target) => `${file} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });
  it("has no import cycle", () => {
    expect(cycles(files)).toEqual([]);
  });
  it("has no file of more than 300 lines", () => {
    const long = files.filter((file) => readFileSync(file, "utf8").split("\n").length > 300);
    expect(long).toEqual([]);
  });
});

it("names only paths in its documents that exist", () => {
  const missing = [
    "README.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/security.md",
    "docs/reliability.md",
  ].flatMap((document) => {
    const text = readFileSync(document, "utf8");
    const paths = [
      ...text.matchAll(
        /`((?:control|filters|proto|istio|examples|test|bench|docs|tools)\/[\w./-]*)`/g,
      ),
    ].map(([, path = ""]) => path);
    return paths.filter((path) => !existsSync(path)).map((path) => `${document}: ${path}`);
  });
  expect(missing).toEqual([]);
});

/** Files on a cycle of imports, each once. */
function cycles(files: readonly string[]): string[] {
  const state = new Map<string, "open" | "done">();
  const found: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push(file);
      return;
    }
    state.set(file, "open");
    for (const target of importsOf(file)) visit(target);
    state.set(file, "done");
  };
  for (const file of files) visit(file);
  return found;
}
