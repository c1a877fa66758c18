import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { type ClientDuplexStream, credentials, Client as GrpcClient } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonWith } from "../python.ts";
import { type Certificates, makeCertificates } from "../store/certificates.ts";
import { type Measured, startMeasured } from "./measured.ts";

const run = promisify(execFile);
let files: Certificates;
let python: string;
const services: Partial<Record<string, Measured>> = {};
beforeAll(async () => {
  python = pythonWith("grpcio", ["grpcio==1.84.2"]);
  files = makeCertificates([]);
  services["in clear text"] = await startMeasured();
  services["over TLS"] = await startMeasured(
    ["--tls-cert", files.cert("server"), "--tls-key", files.key("server")],
    readFileSync(files.ca),
  );
});
afterAll(async () => {
  await Promise.all(Object.values(services).map((service) => service?.stop()));
  files?.remove();
});

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const bytes = (each: Buffer) => each;

/** Opens streams over grpc-js; resolves once they are answered, or at once. */
async function openStreams(client: GrpcClient, streams: number, answered: boolean): Promise<void> {
  const calls = Array.from({ length: streams }, () => {
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
      ads,
      bytes,
      bytes,
    );
    call.on("error", () => {});
    call.on("data", () => {});
    return call;
  });
  const ready = answered
    ? Promise.all(calls.map((call) => new Promise((resolve) => call.once("metadata", resolve))))
    : new Promise<void>((resolve) => client.waitForReady(Date.now() + 30_000, () => resolve()));
  await ready;
}

const patience = { timeout: 120_000 };

describe.each(["in clear text", "over TLS"])("A4: %s", patience, (wire) => {
  describe.each([50, 100, 250])("a channel with %d streams", (streams) => {
    describe.each([
      ["before they are answered", false],
      ["once they are answered", true],
    ])("that is closed %s", (_when, answered) => {
      async function others(work: (service: Measured) => Promise<void>): Promise<void> {
        const service = services[wire];
        if (service === undefined) throw new Error(`no service speaks ${wire}`);
        await service.p99(20);
        const quiet = await service.usually();
        const before = service.rssMiB();
        await work(service);
        expect(await service.atBest(quiet * 2)).toBeLessThan(quiet * 2);
        expect(service.rssMiB() - before).toBeLessThan(192);
        expect(service.child.exitCode).toBeNull();
      }

      it("by grpc-js disturbs no one, and its client is back at once", () =>
        others(async ({ xds }) => {
          const secure = wire === "over TLS";
          const proof = secure
            ? credentials.createSsl(readFileSync(files.ca))
            : credentials.createInsecure();
          for (const open of [streams, 10]) {
            // Channels of one address share a connection otherwise.
            const own = { "grpc.use_local_subchannel_pool": 1 };
            const client = new GrpcClient(`localhost:${xds}`, proof, own);
            await openStreams(client, open, answered || open === 10);
            client.close();
          }
        }));

      it("by grpcio disturbs no one, and its client is back at once", () =>
        others(async ({ xds }) => {
          const wanted = [`${xds}`, `${streams}`, answered ? "1" : "0"];
          const ca = wire === "over TLS" ? [files.ca] : [];
          const { stdout } = await run(python, ["test/faults/foreign.py", ...wanted, ...ca], {
            timeout: 60_000,
          });
          expect(stdout).toBe("open\nagain\n");
        }));
    });
  });
});
