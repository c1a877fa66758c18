import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startXds, type TestServer } from "../fake-envoy.ts";
import { type Client, connectClient, type ProtocolName } from "./client.ts";
import { type Rule, rules, type Scene } from "./rules.ts";
import { streamRules } from "./stream-rules.ts";
import { subscriptionRules } from "./subscription-rules.ts";
import { snapshotOf, type World } from "./world.ts";

let server: TestServer;
let clients: Client[];
beforeEach(async () => {
  server = await startXds();
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.close();
  await server.close();
});

function sceneOf(protocol: ProtocolName): Scene {
  let current = snapshotOf({});
  return {
    publish(world: World) {
      current = snapshotOf(world);
      server.xds.publish(current);
    },
    connect(node = "client") {
      const client = connectClient(server.port, protocol, node);
      clients.push(client);
      return client;
    },
    runs: (type, node = "client") => server.fleet.runs(node, type, current[type].version),
    refusals: () => server.nacks.map((line) => line.split(" ").slice(3).join(" ")),
  };
}

const all: readonly Rule[] = [...rules, ...subscriptionRules, ...streamRules];

describe.each<ProtocolName>(["state of the world", "delta"])("X18: over %s", (protocol) => {
  for (const { paragraph, rule, only, run } of all)
    if (only === undefined || only === protocol)
      it(`${paragraph}: ${rule}`, () => run(sceneOf(protocol)));
});

it("lists every rule in docs/xds.md, and no other", () => {
  const rows = [
    ...readFileSync("docs/xds.md", "utf8").matchAll(/^\| (.+?) \| (.+?) \| (.+?) \|$/gm),
  ]
    .map(([, ...cells]) => cells.map((cell) => cell.trim()))
    .filter(([paragraph]) => paragraph !== "paragraph" && !paragraph?.startsWith("---"));
  expect(rows).toEqual(all.map(({ paragraph, rule, only = "both" }) => [paragraph, rule, only]));
});
