import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePorts } from "./free-ports.ts";

/** Takes ports in a process of its own, which lives until its input ends. */
function taker(directory: string, count: number) {
  const child = spawn(process.execPath, [join(directory, "take.js"), `${count}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [ports, gone] = [text(child.stdout), new Promise((end) => child.once("exit", end))];
  return {
    ports: async () => JSON.parse(await ports) as number[],
    end: async () => {
      child.stdin.end();
      await gone;
    },
  };
}

function takers(): string {
  const directory = mkdtempSync(join(tmpdir(), "weir-ports-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const options = ["--ignoreConfig", "--module", "esnext", "--target", "es2022", "--types", "node"];
  const out = ["--outDir", directory, "test/free-ports.ts"];
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...options, ...out]);
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  const take = `import { freePorts } from "./free-ports.js";
const ports = [];
while (ports.length < process.argv[2]) ports.push(...(await freePorts(5)));
process.stdout.end(JSON.stringify(ports));
process.stdin.resume();`;
  writeFileSync(join(directory, "take.js"), take);
  return directory;
}

describe("free ports", () => {
  it("are given to one of several processes that take hundreds of them at once", async () => {
    const directory = takers();
    const all = Array.from({ length: 4 }, () => taker(directory, 300));
    const ports = (await Promise.all(all.map((each) => each.ports()))).flat();
    const mine = await freePorts(100);
    await Promise.all(all.map((each) => each.end()));
    expect(new Set([...ports, ...mine]).size).toBe(1_300);
  });

  it("are none of those that the kernel gives to whoever asks for any", async () => {
    const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim();
    const [low = 0, high = 0] = range.split(/\s+/).map(Number);
    for (const port of await freePorts(100)) expect(port < low || port > high).toBe(true);
  });

  it.each(["127.0.0.1", "0.0.0.0", "::"])("are not those that someone has at %s", async (host) => {
    // One that this process would take next.
    let server: Server | undefined;
    let port = 0;
    while (!server) {
      port = ((await freePorts(1))[0] ?? 0) + 1;
      const tried = createServer().listen(port, host);
      server = await once(tried, "listening").then(
        () => tried,
        () => undefined,
      );
    }
    onTestFinished(() => void server.close());
    expect(await freePorts(40)).not.toContain(port);
  });

  it("are not given twice to who asks several times at once", async () => {
    const asked = await Promise.all(Array.from({ length: 20 }, () => freePorts(7)));
    expect(new Set(asked.flat()).size).toBe(140);
  });
});
