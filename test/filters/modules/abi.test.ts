import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";

/** All host calls that Envoy's Wasm host offers and Weir may use. */
const allowed = new Set([
  "proxy_log",
  "proxy_get_current_time_nanoseconds",
  "proxy_set_tick_period_milliseconds",
  "proxy_get_property",
  "proxy_get_buffer_bytes",
  "proxy_get_header_map_pairs",
  "proxy_replace_header_map_value",
  "proxy_remove_header_map_value",
  "proxy_send_local_response",
  "proxy_get_shared_data",
  "proxy_set_shared_data",
  "proxy_define_metric",
  "proxy_increment_metric",
  "proxy_record_metric",
  "proxy_get_metric",
  "proxy_http_call",
]);
const exported = [
  "_initialize",
  "memory",
  "proxy_abi_version_0_2_1",
  "proxy_on_configure",
  "proxy_on_delete",
  "proxy_on_memory_allocate",
  "proxy_on_request_headers",
  "proxy_on_request_trailers",
  "proxy_on_response_trailers",
  "proxy_on_tick",
];
const more: Record<string, string[]> = {
  "weir-full": ["proxy_on_http_call_response", "proxy_on_response_headers"],
  "route-select": ["proxy_on_request_body"],
};
const sizes = JSON.parse(readFileSync("build/filters.json", "utf8")) as Record<
  string,
  { bytes: number }
>;

/** The most bytes of each module; what only some routes ask for is in weir-full.wasm. */
describe.each([
  ["weir", 24_576],
  ["weir-full", 41_984],
  ["rate-limit", 20_480],
  ["canary", 16_384],
  ["shadow", 16_384],
  ["compression", 15_360],
  ["route-select", 30_208],
])("%s.wasm", (name, max) => {
  const module = compiled(name);
  it("imports only what Envoy offers", () => {
    const imports = WebAssembly.Module.imports(module);
    expect(imports.filter(({ module, name }) => module !== "env" || !allowed.has(name))).toEqual(
      [],
    );
  });
  it("exports only the callbacks it uses", () => {
    expect(
      WebAssembly.Module.exports(module)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...exported, ...(more[name] ?? [])].sort());
  });
  it("has no start section: its code would run before the host is ready", () => {
    expect(sections(readFileSync(`build/${name}.wasm`))).not.toContain(8);
  });
  it(`has at most ${max} bytes`, () => {
    expect(sizes[name]?.bytes).toBeLessThanOrEqual(max);
  });
});

describe("one request of a gold tenant with 12 headers", () => {
  const { workers } = configuredProxy("weir", fullConfig());
  const headers = requestHeaders({
    "x-tenant-id": "acme",
    "x-user-id": "ada",
    "accept-encoding": "gzip",
    accept: "*/*",
  });

  it("costs two callbacks, one read and at most four further host calls, but for a lease now and then", () => {
    expect(headers).toHaveLength(12);
    const config = fullConfig();
    config.routes[0].rateLimit.forward = {};
    const { workers } = configuredProxy("weir", config);
    const outcomes = Array.from({ length: 150 }, () => workers[0]?.request(headers));
    const usual = outcomes.filter((outcome) => !outcome?.calls.includes("proxy_get_shared_data"));
    for (const outcome of usual) {
      expect(outcome?.callbacks).toBeLessThanOrEqual(2);
      expect(outcome?.allocatingReads).toBe(1);
      expect(outcome?.calls.length).toBeLessThanOrEqual(1 + 4);
    }
    // Leases: an eighth of what is there, so few while the bucket is far from empty.
    const shared = outcomes
      .flatMap((outcome) => outcome?.calls ?? [])
      .filter((call) => call.includes("shared_data"));
    expect(shared.length / 2 / outcomes.length).toBeLessThanOrEqual(0.1);
  });

  it("leaves linear memory as it was, a million times over", () => {
    const worker = workers[0];
    for (let i = 0; i < 1000; i++) worker?.request(headers);
    const before = worker?.memoryBytes();
    for (let i = 0; i < 1_000_000; i++) worker?.request(headers);
    expect(worker?.memoryBytes()).toBe(before);
  }, 300_000);

  it("leaves linear memory as it was over 10,000 configurations", () => {
    const { workers } = configuredProxy("weir", fullConfig());
    const worker = workers[0];
    const replace = (root: number) => {
      const config = { ...fullConfig(), revision: `r${root}` };
      expect(worker?.configure(root, JSON.stringify(config))).toBe(true);
      worker?.request(headers);
      worker?.remove(root - 1);
    };
    for (let root = 2; root < 100; root++) replace(root);
    const before = worker?.memoryBytes();
    for (let root = 100; root < 10_100; root++) replace(root);
    expect(worker?.memoryBytes()).toBe(before);
  });
});

/** Numbers of a module's sections, in order (WebAssembly core specification, 5.5.2). */
function sections(wasm: Buffer): number[] {
  const found: number[] = [];
  let at = 8;
  while (at < wasm.length) {
    found.push(wasm[at++] ?? 0);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++] ?? 0;
      size += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return found;
}
