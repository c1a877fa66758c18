import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { without } from "../../needs.ts";
import { startXds, type TestServer } from "../fake-envoy.ts";
import { codecs, type DeltaFields, type Response, type SotwFields } from "./client.ts";
import { type Grpcio, startGrpcio } from "./grpcio.ts";
import { snapshotOfOnly, urlOf, type World } from "./world.ts";

let server: TestServer;
const publish = (world: World) => server.xds.publish(snapshotOfOnly(world));
beforeEach(async () => {
  server = await startXds();
});
afterEach(() => server.close());

describe.skipIf(without("go"))("X23: clients in Go", () => {
  let program = "";
  beforeAll(() => {
    const run = spawnSync(process.execPath, ["tools/build-istio.js", "xds-client"], {
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8",
    });
    if (run.status !== 0) throw new Error("the client could not be built; see above");
    program = JSON.parse(run.stdout)["xds-client"];
  }, 600_000);

  /** Runs the client; it waits after each thing it saw until it is told to go on. */
  async function run(kind: "sotw" | "delta", react: (seen: unknown, step: number) => unknown) {
    const child = spawn(program, [`127.0.0.1:${server.port}`, kind]);
    const seen: unknown[] = [];
    let words = "";
    child.stderr.on("data", (chunk) => {
      words += chunk;
    });
    for await (const line of createInterface({ input: child.stdout })) {
      seen.push(JSON.parse(line));
      await react(seen.at(-1), seen.length);
      child.stdin.write("\n");
    }
    if (words) throw new Error(words);
    return seen;
  }

  it("go-control-plane's own client: accepts, refuses, accepts what mends it, and sees the end", async () => {
    const world = (b: number) => ({ CDS: { a: 1, b } });
    const version = (b: number) => snapshotOfOnly(world(b)).CDS.version;
    publish(world(1));
    const seen = await run("sotw", async (_, step) => {
      if (step === 2) {
        await expect.poll(() => server.fleet.runs("go", "CDS", version(1))).toBe(true);
        publish(world(2));
      }
      if (step === 4) {
        await expect.poll(() => server.nacks.length).toBe(1);
        publish(world(2));
        publish(world(3));
      }
      if (step === 6) {
        await expect.poll(() => server.fleet.runs("go", "CDS", version(3))).toBe(true);
        server.xds.close();
      }
    });
    expect(seen).toEqual([
      { a: "r1", b: "r1" },
      "accepted",
      { a: "r1", b: "r2" },
      "refused",
      { a: "r1", b: "r3" },
      "accepted",
      "Unavailable",
    ]);
  });

  it("grpc-go over delta: * with names, a name let go, a stale nonce, compression and the half-close", async () => {
    publish({ CDS: { a: 1, b: 1 } });
    const seen = await run("delta", (_, step) => {
      if (step === 4) publish({ CDS: { b: 2 } });
    });
    expect(seen).toEqual([
      "Unimplemented",
      { resources: { a: "r1", b: "r1" }, removed: ["gone"] },
      { resources: { a: "r1" }, removed: null },
      { resources: { b: "r1" }, removed: null },
      { resources: { b: "r2" }, removed: ["a"] },
      "OK",
    ]);
  });
});

describe("grpcio", () => {
  let grpcio: Grpcio;
  beforeAll(() => {
    grpcio = startGrpcio();
    return () => grpcio.stop();
  }, 300_000);
  const sotw = (fields: SotwFields) =>
    codecs["state of the world"].encode({
      node: { id: "py" },
      typeUrl: urlOf("CDS"),
      ...fields,
    } as SotwFields);
  const delta = (fields: DeltaFields) =>
    codecs.delta.encode({
      node: { id: "py" },
      typeUrl: urlOf("CDS"),
      ...fields,
    } as DeltaFields);

  async function response(id: string, decode: (bytes: Buffer) => Response): Promise<Response> {
    const told = await grpcio.next(id);
    if (!("bytes" in told)) throw new Error(`${id} ended: ${told.status} ${told.details}`);
    return decode(Buffer.from(told.bytes, "hex"));
  }

  it("is served over both protocols on streams of one node, and ends OK after its half-close", async () => {
    publish({ CDS: { a: 1, b: 1 } });
    grpcio.open("one", server.port, "StreamAggregatedResources");
    grpcio.open("two", server.port, "DeltaAggregatedResources");
    grpcio.send("one", sotw({ resourceNames: ["a"] }));
    const first = await response("one", codecs["state of the world"].decode);
    expect(first.resources).toEqual({ a: 1 });
    grpcio.send("two", delta({ resourceNamesSubscribe: ["b", "c"] }));
    expect(await response("two", codecs.delta.decode)).toMatchObject({
      resources: { b: 1 },
      removed: ["c"],
    });
    const answer = { responseNonce: first.nonce, versionInfo: first.version };
    grpcio.send("one", sotw({ resourceNames: [], ...answer }));
    grpcio.send("one", sotw({ resourceNames: ["a"], ...answer }));
    expect((await response("one", codecs["state of the world"].decode)).resources).toEqual({
      a: 1,
    });
    publish({ CDS: { a: 1, b: 1, c: 1 } });
    expect((await response("two", codecs.delta.decode)).resources).toEqual({ c: 1 });
    for (const id of ["one", "two"]) {
      grpcio.halfClose(id);
      expect(await grpcio.next(id)).toEqual({ status: "OK", details: "" });
    }
  });

  it("is told UNIMPLEMENTED when it compresses, and why a request is refused", async () => {
    publish({ CDS: { a: 1 } });
    grpcio.open("zipped", server.port, "StreamAggregatedResources", true);
    grpcio.send("zipped", sotw({ resourceNames: ["a".repeat(500)] }));
    expect(await grpcio.next("zipped")).toMatchObject({ status: "UNIMPLEMENTED" });
    grpcio.open("nobody", server.port, "DeltaAggregatedResources");
    grpcio.send("nobody", codecs.delta.encode({ typeUrl: urlOf("CDS") }));
    expect(await grpcio.next("nobody")).toEqual({
      status: "INVALID_ARGUMENT",
      details: "the first request must carry a node with an id",
    });
  });

  it("that takes its stream back leaves nothing behind", async () => {
    publish({ CDS: { a: 1 } });
    grpcio.open("gone", server.port, "DeltaAggregatedResources");
    grpcio.send("gone", delta({}));
    await response("gone", codecs.delta.decode);
    expect(server.fleet.members().some(({ node }) => node === "py")).toBe(true);
    grpcio.cancel("gone");
    expect(await grpcio.next("gone")).toMatchObject({ status: "CANCELLED" });
    await expect.poll(() => server.fleet.members().some(({ node }) => node === "py")).toBe(false);
  });
});
