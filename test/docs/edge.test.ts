import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { bootstrap } from "../../control/xds/index.ts";
import { edgeManager } from "../../control/xds/resources/edge.ts";

/** What the page says of a thing, as far as its words are about numbers. */
function toldOf(about: string): string {
  const row = readFileSync("docs/edge.md", "utf8")
    .split("\n")
    .find((line) => line.startsWith(`| ${about} `));
  if (row === undefined) throw new Error(`docs/edge.md has no row about ${about}`);
  return row;
}

it("tells the limits that are set where nothing else is asked for", () => {
  const local = { host: "127.0.0.1", port: 1 };
  const { overload_manager: overload } = parse(
    bootstrap({ node: "edge", xds: local, admin: local }),
  );
  const limits = overload.resource_monitors.map(
    (each: { typed_config: object }) => each.typed_config,
  );
  expect(limits).toMatchObject([
    { max_heap_size_bytes: String(2 * 1024 ** 3) },
    { max_active_downstream_connections: "10000" },
  ]);
  expect(toldOf("memory")).toContain("near 2 GiB of heap");
  expect(toldOf("connections")).toContain("10,000 ");

  const seconds = ({ seconds }: { seconds?: bigint | undefined } = {}) => Number(seconds);
  const manager = edgeManager() as ReturnType<typeof edgeManager> & Record<string, never>;
  expect(seconds(manager.requestHeadersTimeout)).toBe(10);
  expect(toldOf("slow headers")).toContain("408 after 10 s");
  expect(seconds(manager.commonHttpProtocolOptions.idleTimeout)).toBe(620);
  expect(toldOf("idle connections")).toContain("closed after 620 s");
  expect(seconds(manager.streamIdleTimeout)).toBe(3_600);
  expect(toldOf("streams")).toContain("after an hour without a byte");
  expect(manager.commonHttpProtocolOptions.maxHeadersCount).toBe(100);
  expect(manager.maxRequestHeadersKb).toBe(60);
  expect(toldOf("sizes")).toContain("100 headers, 60 KiB of them");
  expect(manager.http2ProtocolOptions.maxConcurrentStreams).toBe(100);
  expect(toldOf("floods of HTTP/2")).toContain("100 streams at once");
});
