import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Certificates, makeCertificates } from "../store/certificates.ts";
import { type Measured, startMeasured } from "./measured.ts";
import { held, ids, open } from "./opened.ts";
import { frame, kind, type RawClient, rawClient, reset } from "./raw-http2.ts";

const patience = { timeout: 120_000, interval: 50 };
/** What a session may take back at once. */
const burst = 50;
/** What one session may have open. */
const maxStreams = 250;

let files: Certificates;
let ca: Buffer;
const services: Partial<Record<string, Measured>> = {};
beforeAll(async () => {
  files = makeCertificates([]);
  ca = readFileSync(files.ca);
  services["in clear text"] = await startMeasured();
  services["over TLS"] = await startMeasured(
    ["--tls-cert", files.cert("server"), "--tls-key", files.key("server")],
    ca,
  );
});
afterAll(async () => {
  await Promise.all(Object.values(services).map((service) => service?.stop()));
  files?.remove();
});

function serviceOf(wire: string): Measured {
  const service = services[wire];
  if (service === undefined) throw new Error(`no service speaks ${wire}`);
  return service;
}

/** Clients, each with its share of the streams open. */
async function openAll(
  wire: string,
  port: string,
  streams: number,
  answered: boolean,
): Promise<{ client: RawClient; share: number }[]> {
  const call = held(port, serviceOf(wire));
  const clients = Array.from({ length: Math.ceil(streams / maxStreams) }, (_, i) => ({
    client: rawClient(call.port, wire === "over TLS" ? ca : undefined),
    share: Math.min(maxStreams, streams - i * maxStreams),
  }));
  onTestFinished(() => {
    for (const { client } of clients) client.socket.destroy();
  });
  for (const { client, share } of clients) {
    await client.greeted;
    open(client, share, call, wire === "over TLS" ? "https" : "http");
  }
  for (const { client, share } of clients)
    if (answered) await expect.poll(() => client.answered.size, patience).toBe(share);
  return clients;
}

describe.each(["in clear text", "over TLS"])("A4: %s", { timeout: 240_000 }, (wire) => {
  describe.each(["the API", "xDS"])("a client of %s", (port) => {
    describe.each([10, 50, 100, 1_000])("with %d streams", (streams) => {
      it.each([
        ["before they are answered", false],
        ["once they are answered", true],
      ])(
        "that takes all of them back %s loses its session if they are too many, and others are served",
        async (_when, answered) => {
          const service = serviceOf(wire);
          await service.p99(20);
          const quiet = await service.usually();
          const before = service.rssMiB();
          const clients = await openAll(wire, port, streams, answered);
          for (const { client, share } of clients)
            client.socket.write(Buffer.concat(ids(share).map(reset)));
          const tooMany = streams > burst;
          if (tooMany) await Promise.all(clients.map(({ client }) => client.closed));
          expect(await service.atBest(quiet * 2)).toBeLessThan(quiet * 2);
          expect(clients.map(({ client }) => client.isClosed())).toEqual(
            clients.map(() => tooMany),
          );
          await expect.poll(() => service.rssMiB() - before, patience).toBeLessThan(192);
          expect(service.child.exitCode).toBeNull();
        },
      );
    });

    it("that opens four times the streams it may, and takes them back, loses its session", async () => {
      const service = serviceOf(wire);
      const call = held(port, service);
      const client = rawClient(call.port, wire === "over TLS" ? ca : undefined);
      await client.greeted;
      open(client, 4 * maxStreams, call);
      client.socket.write(Buffer.concat(ids(4 * maxStreams).map(reset)));
      await client.closed;
      await service.p99(10);
    });

    it.each<[string, (client: RawClient) => void]>([
      ["a GOAWAY", ({ socket }) => socket.end(frame(kind.goaway, 0, 0, Buffer.alloc(8)))],
      [
        "a GOAWAY with an error",
        ({ socket }) =>
          socket.write(frame(kind.goaway, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]))),
      ],
      ["the end of the connection", ({ socket }) => socket.end()],
      ["a reset of the connection", ({ tcp }) => void tcp.resetAndDestroy()],
    ])(
      "that is a load balancer with 100 streams and ends all by %s is served again at once",
      async (_how, end) => {
        const service = serviceOf(wire);
        for (let round = 0; round < 5; round++) {
          const [balancer] = await openAll(wire, port, 100, true);
          if (balancer === undefined) throw new Error("there is no client");
          end(balancer.client);
          await balancer.client.closed;
        }
        const [again] = await openAll(wire, port, 100, true);
        expect(again?.client.isClosed()).toBe(false);
        await service.p99(10);
      },
    );
  });
});
