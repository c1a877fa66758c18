import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { DiscoveryRequestSchema } from "../../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { frame } from "../../../control/xds/frames.ts";
import { resourceTypes } from "../../../control/xds/types.ts";
import { rude, tokens } from "../namespaces.ts";
import type { Disturbance, World } from "../world.ts";

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const refusedStream = 8;

function session(port: number): ClientHttp2Session {
  const opened = connect(`http://127.0.0.1:${port}`);
  opened.on("error", () => {});
  return opened;
}

function call(on: ClientHttp2Session, path: string, token?: string): ClientHttp2Stream {
  const stream = on.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...(token ? { authorization: `Bearer ${token}` } : {}),
  });
  stream.on("error", () => {});
  stream.resume();
  return stream;
}

/** What a proxy's first requests are, in the bytes of one message each. */
const firstRequests = (node: string) =>
  resourceTypes.map(({ url: typeUrl, name }) =>
    frame(
      toBinary(
        DiscoveryRequestSchema,
        create(DiscoveryRequestSchema, {
          node: { id: node },
          typeUrl,
          resourceNames: name === "RDS" || name === "ECDS" ? ["weir"] : [],
        }),
      ),
    ),
  );

function sockets(port: number, count: number): Socket[] {
  return Array.from({ length: count }, () => {
    const socket = createConnection(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    return socket;
  });
}

/** Holds some connections for as long as something goes on with them. */
async function holding(world: World, all: Socket[], work: () => Promise<void>): Promise<void> {
  world.opened(all.length);
  await work();
  for (const socket of all) socket.destroy();
  world.closed(all.length);
}

/** Bytes and streams that no client that means well sends. */
export const connectionDisturbances: Disturbance[] = [
  {
    name: "resets-without-token",
    mayBreak: "the connection that resets",
    lastsMs: 3_000,
    async act({ service }) {
      for (const [port, path] of [
        [service.api, "/weir.v1.FleetService/WatchProxies"],
        [service.xds, ads],
      ] as const) {
        const rudely = session(port);
        const streams = Array.from({ length: 300 }, () => call(rudely, path));
        await sleep(20);
        for (const stream of streams) stream.close(refusedStream);
        await sleep(500);
        rudely.destroy();
      }
      await sleep(1_000);
    },
  },
  {
    name: "resets-live-streams",
    mayBreak: "the connection that resets",
    lastsMs: 4_000,
    async act({ service }, random) {
      const namespace = rude[random() < 0.5 ? 0 : 1];
      const client = session(service.xds);
      // A balancer in front of Weir carries the streams of many proxies.
      const streams = Array.from({ length: 100 }, (_, i) => {
        const stream = call(client, ads, tokens.proxy(namespace));
        for (const message of firstRequests(`${namespace}-behind-${i}`)) stream.write(message);
        return stream;
      });
      await sleep(1_000);
      if (random() < 0.5) for (const stream of streams) stream.close(refusedStream);
      else client.close();
      await sleep(500);
      client.destroy();
      await sleep(1_500);
    },
  },
  {
    name: "garbage",
    mayBreak: "the connections that send it",
    lastsMs: 4_000,
    async act(world, random) {
      const { service } = world;
      const noise = (length: number) =>
        Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
      const raw = [...sockets(service.api, 5), ...sockets(service.xds, 5)];
      await holding(world, raw, async () => {
        for (const socket of raw) {
          if (random() < 0.5) socket.write(preface);
          socket.write(noise(1 + Math.floor(random() * 2_000)));
        }
        const namespace = rude[0];
        const client = session(service.xds);
        for (const bytes of [
          noise(300),
          frame(noise(300)),
          Buffer.from([0, 255, 255, 255, 255, 1]),
          Buffer.from([1, 0, 0, 0, 1, 1]),
          frame(Buffer.alloc(3 << 20, 0x0a)),
        ]) {
          const stream = call(client, ads, tokens.proxy(namespace));
          for (const message of firstRequests(`${namespace}-garbage`)) stream.write(message);
          await sleep(200);
          if (!stream.destroyed) stream.write(bytes);
        }
        await sleep(1_500);
        client.destroy();
      });
    },
  },
  {
    name: "too-many-names",
    mayBreak: "the stream that asks",
    lastsMs: 3_000,
    async act({ service }) {
      const namespace = rude[1];
      const client = session(service.xds);
      const names = Array.from({ length: 60_000 }, (_, i) => `name-${i}`);
      for (const { url: typeUrl } of resourceTypes) {
        const stream = call(client, ads, tokens.proxy(namespace));
        const node = { id: `${namespace}-greedy` };
        const request = create(DiscoveryRequestSchema, { node, typeUrl, resourceNames: names });
        stream.write(frame(toBinary(DiscoveryRequestSchema, request)));
      }
      await sleep(2_000);
      client.destroy();
    },
  },
  {
    name: "slowloris",
    mayBreak: "the connections that drip",
    lastsMs: 8_000,
    async act(world) {
      const all = [...sockets(world.service.api, 200), ...sockets(world.service.xds, 100)];
      await holding(world, all, async () => {
        for (const [i, socket] of all.entries())
          socket.write(i % 2 === 0 ? "POST /weir.v1" : preface);
        for (let i = 0; i < 15; i++) {
          await sleep(500);
          for (const socket of all) if (socket.writable) socket.write("a");
        }
      });
    },
  },
];
