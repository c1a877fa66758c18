import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compiled } from "../module.ts";
import { ask, events, says, stream, tokenProxy } from "./token-streams.ts";

describe("token-limit.wasm", () => {
  const module = compiled("token-limit");

  it("imports only what Envoy offers, and exports only the callbacks it uses", () => {
    expect(WebAssembly.Module.imports(module).map(({ module: from }) => from)).toEqual(
      WebAssembly.Module.imports(module).map(() => "env"),
    );
    expect(WebAssembly.Module.imports(module).map(({ name }) => name)).toContain(
      "proxy_set_buffer_bytes",
    );
    expect(
      WebAssembly.Module.exports(module)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([
      "_initialize",
      "memory",
      "proxy_abi_version_0_2_1",
      "proxy_on_configure",
      "proxy_on_delete",
      "proxy_on_memory_allocate",
      "proxy_on_request_body",
      "proxy_on_request_headers",
      "proxy_on_request_trailers",
      "proxy_on_response_body",
      "proxy_on_response_headers",
      "proxy_on_response_trailers",
      "proxy_on_tick",
    ]);
  });

  // 16 KiB beyond its first 32: shadow traffic, fallbacks, hosts of several routes, and the tables of all
  // APIs with what they ask of a reader.
  it("has at most 48 KiB", () => {
    expect(readFileSync("build/token-limit.wasm").length).toBeLessThanOrEqual(48 * 1024);
  });

  it("costs an event two host calls: the bytes and the time", () => {
    const { worker } = tokenProxy();
    const exchange = ask(worker);
    exchange.responseHeaders(events);
    const before = exchange.calls().length;
    for (let i = 0; i < 100; i++) exchange.responseBody(Buffer.from(stream(says("word"))), false);
    expect(new Set(exchange.calls().slice(before))).toEqual(
      new Set(["proxy_get_buffer_bytes", "proxy_get_current_time_nanoseconds"]),
    );
    expect(exchange.calls().length - before).toBe(200);
  });
});
