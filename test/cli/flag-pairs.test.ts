import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { createProgram } from "../../control/cli/program.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { clientsOf } from "../api/clients.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { weir } from "../e2e/weir-up.ts";

// Flags are given and left out: what is printed, or what the service holds, has to differ.

// Every command is a process of its own: a busy machine takes seconds for each.
vi.setConfig({ testTimeout: 240_000 });

const directory = mkdtempSync(join(tmpdir(), "weir-flags-"));
afterAll(() => rmSync(directory, { recursive: true }));
const written = (name: string, text: string) => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};

const canary = "examples/canary/route.yaml";
const tokens = "examples/tokens/route.yaml";
const unwise = written(
  "unwise.yaml",
  readFileSync(canary, "utf8").replace("timeout: 600s", "timeout: 60s"),
);
const other = written(
  "other.yaml",
  readFileSync(canary, "utf8").replace("requestsPerSecond: 100", "requestsPerSecond: 90"),
);
const [applied] = parseRoutes(readFileSync(canary, "utf8")).routes;
/** With what only the experimental channel of the Gateway API has. */
const models = "test/istio/golden/models/route.yaml";
const pools = "test/istio/golden/gateway-api-pools/route.yaml";
const secret = written("token", "secret\n");
const adopt = "test/istio/merging/golden/adopt";

/** Of one command: its words, and each flag with what else stands there; a base of its own where the usual one has no use for it. */
interface Command {
  words: string[];
  online?: boolean;
  pairs: Record<string, { given: string[]; base?: string[] }>;
}

const given = (...words: string[]) => ({ given: words });
const commands: Record<string, Command> = {
  bootstrap: {
    words: ["--node", "edge-1", "--xds", "127.0.0.1:18000"],
    pairs: {
      "--node": { given: ["--node", "edge-2"] },
      "--xds": { given: ["--xds", "127.0.0.1:18001"] },
      "--admin": given("--admin", "127.0.0.1:9902"),
      "--delta": given("--delta"),
      "--max-connections": given("--max-connections", "5"),
      "--max-heap": given("--max-heap", "512"),
      "--token-file": given("--token-file", secret),
      "--ca": given("--ca", "/ca.pem"),
      "--cert": given("--ca", "/ca.pem", "--cert", "/cert.pem", "--key", "/key.pem"),
      "--key": {
        given: ["--ca", "/ca.pem", "--cert", "/cert.pem", "--key", "/key.pem"],
        base: ["--ca", "/ca.pem", "--cert", "/cert.pem", "--key", "/other.pem"],
      },
    },
  },
  render: {
    words: ["-f", canary],
    pairs: {
      "--file": given("-f", tokens),
      "--target": given("--target", "gateway-api"),
      "--gateway-api-channel": {
        given: ["-f", pools, "--target", "gateway-api", "--gateway-api-channel", "experimental"],
        base: ["-f", pools, "--target", "gateway-api"],
      },
      "--wasm-url": given("--wasm-url", "oci://example.com/weir:1"),
      "--token-limit-wasm-url": {
        given: ["-f", tokens, "--token-limit-wasm-url", "oci://example.com/token-limit:1"],
        base: ["-f", tokens],
      },
      "--route-select-wasm-url": {
        given: ["-f", models, "--route-select-wasm-url", "oci://example.com/route-select:1"],
        base: ["-f", models],
      },
      "--wasm-sha256": {
        given: ["--wasm-url", "https://example.com/weir.wasm", "--wasm-sha256", "a".repeat(64)],
        base: ["--wasm-url", "https://example.com/weir.wasm"],
      },
      "--istio-version": given("--istio-version", "1.28"),
      "--merge": {
        given: ["-f", `${adopt}/route.yaml`, "--merge", `${adopt}/existing.yaml`],
        base: ["-f", `${adopt}/route.yaml`],
      },
    },
  },
  check: {
    words: ["-f", unwise],
    pairs: {
      "--file": given("-f", tokens),
      "--fail-on": given("--fail-on", "warning"),
      "--target": given("--target", "gateway-api"),
      "--cluster": given("--cluster", `${adopt}/existing.yaml`),
      "--output": given("-o", "json"),
    },
  },
  apply: {
    online: true,
    words: ["-f", other],
    pairs: {
      "--file": given("-f", tokens),
      "--reason": given("--reason", "as asked"),
      "--etag": given("--etag", "99"),
      "--dry-run": given("--dry-run"),
      "--output": given("-o", "json"),
    },
  },
  shift: {
    online: true,
    words: ["chat", "canary=30"],
    pairs: {
      "--reason": given("--reason", "as asked"),
      "--etag": given("--etag", "99"),
      "--output": given("-o", "json"),
    },
  },
  delete: {
    online: true,
    words: ["chat"],
    pairs: {
      "--reason": given("--reason", "as asked"),
      "--etag": given("--etag", "99"),
      "--output": given("-o", "json"),
    },
  },
  audit: {
    online: true,
    words: [],
    pairs: { "--limit": given("--limit", "1"), "--output": given("-o", "json") },
  },
  get: { online: true, words: ["chat"], pairs: { "--output": given("-o", "json") } },
  status: { online: true, words: ["chat"], pairs: { "--output": given("-o", "json") } },
};

/** Flags of a connection, of watching and of waiting: tests of their own hold them. */
const elsewhere = ["--server", "--watch", "--wait", "--timeout"];
const ofConnections = ["--token-file", "--ca", "--cert", "--key"];

const timeless = (text: string) =>
  text.replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?/g, "then");

async function outcome(name: string, words: string[]): Promise<string> {
  if (!commands[name]?.online) {
    const { code, stdout, stderr } = await weir([name, ...words]);
    return timeless(JSON.stringify([code, stdout, stderr]));
  }
  const server = await startQuietServer();
  try {
    const to = ["--server", `127.0.0.1:${server.listen.port}`];
    const { audit, routes } = clientsOf(urlOf(server));
    await routes.applyRoute({ route: applied, reason: "first" });
    await routes.shiftWeights({ name: "chat", weights: { canary: 11 } });
    const { code, stdout, stderr } = await weir([name, ...words, ...to]);
    const { entries } = await audit.listAudit({});
    const kept = entries.map(({ action, reason, name }) => [action, reason, name]);
    return timeless(JSON.stringify([code, stdout, stderr, kept])).replaceAll(to[1] ?? "", "server");
  } finally {
    await server.close();
  }
}

it.each(Object.keys(commands))("weir %s has a pair for each of its flags", (name) => {
  const command = createProgram("0").commands.find((each) => each.name() === name);
  const flags = (command?.options ?? []).flatMap(({ long }) => long ?? []);
  const online = commands[name]?.online ? ofConnections : [];
  const wanted = flags.filter((flag) => ![...elsewhere, ...online].includes(flag));
  expect(Object.keys(commands[name]?.pairs ?? {}).sort()).toEqual(wanted.sort());
});

describe.each(Object.entries(commands))("weir %s", (name, { words, pairs }) => {
  const bases = new Map<string, Promise<string>>();
  const without = (base: string[]) => {
    const found = bases.get(base.join(" ")) ?? outcome(name, base);
    bases.set(base.join(" "), found);
    return found;
  };
  /** Words that name the same flag again stand for the usual ones. */
  const called = (extra: string[]) =>
    extra.some((word) => word !== "-" && words.includes(word) && word.startsWith("-"))
      ? [...extra, ...words.filter((_, i) => !isOf(words, i, extra))]
      : [...words, ...extra];

  it.each(Object.entries(pairs))("does something else with %s", async (_flag, { given, base }) => {
    expect(await outcome(name, called(given))).not.toBe(await without(called(base ?? [])));
  });

  it("does the same twice", async () => {
    expect(await outcome(name, words)).toBe(await without(words));
  });
});

/** Whether a word is a flag, or a flag's value, that others give anew. */
function isOf(words: string[], i: number, anew: string[]): boolean {
  const flag = words[i]?.startsWith("-") ? words[i] : words[i - 1];
  return flag?.startsWith("-") === true && anew.includes(flag);
}
