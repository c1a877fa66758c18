import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ListenError } from "../../control/service/ports/listen.ts";
import { createEndings } from "../../control/service/wiring/endings.ts";
import { startQuietServer } from "./control-server.ts";

describe("endings", () => {
  it("run once, the newest first, and all of them where one fails", async () => {
    const order: string[] = [];
    const endings = createEndings();
    endings.add(async () => order.push("first"));
    endings.add(() => {
      order.push("second");
      throw new Error("it does not end");
    });
    endings.add(async () => {
      await new Promise(setImmediate);
      order.push("third");
    });
    await expect(endings.run()).rejects.toThrow("it does not end");
    await expect(endings.run()).rejects.toThrow("it does not end");
    expect(order).toEqual(["third", "second", "first"]);
  });
});

/** A port of this machine that someone else has. */
async function takenPort(): Promise<number> {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void other.close());
  const address = other.address();
  return typeof address === "object" && address ? address.port : 0;
}

describe("a start that fails", () => {
  it.each([
    [
      "a port that is in use",
      async () => ({ xds: { host: "127.0.0.1", port: await takenPort() } }),
    ],
    ["filters that are not there", async () => ({ wasm: "build/none/weir.wasm" })],
  ])("for %s gives its store back", async (_, wrong) => {
    const directory = mkdtempSync(join(tmpdir(), "weir-start-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const store = `lmdb:${directory}`;
    const failed = startQuietServer({ store, ...(await wrong()) });
    await expect(failed).rejects.toThrow();
    // A store in a directory is one process's, and one opening's, at a time.
    const server = await startQuietServer({ store });
    await server.close();
  });

  it("says why", async () => {
    const xds = { host: "127.0.0.1", port: await takenPort() };
    await expect(startQuietServer({ xds })).rejects.toThrow(ListenError);
  });
});
