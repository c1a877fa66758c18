import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { DiscoveryRequestSchema } from "../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { frame as grpcFrame } from "../../control/xds/frames.ts";
import { frame, kind, preface, request } from "./raw-http2.ts";
import {
  ceiling,
  clientHello,
  connection,
  drip,
  portOf,
  served,
  slowService,
  wellBehaved,
} from "./slow-service.ts";

// A client that sends a byte now and then is never idle: what ends it is a deadline.
slowService();

const everywhere = ["the API", "xDS"].flatMap((port) =>
  ["in clear text", "over TLS"].map((wire) => `${port} ${wire}`),
);
const hello = Buffer.concat([Buffer.from(preface), frame(kind.settings, 0, 0, Buffer.alloc(0))]);
const fields = { ":method": "POST", ":path": "/", ":scheme": "http", ":authority": "localhost" };
const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const xdsFields = { ...fields, ":path": ads, "content-type": "application/grpc", te: "trailers" };
/** Frames that open no stream. */
const small: [string, Buffer][] = [
  ["pings", frame(kind.ping, 0, 0, Buffer.alloc(8))],
  ["settings", frame(kind.settings, 0, 0, Buffer.alloc(0))],
  ["windows", frame(8, 0, 0, Buffer.from([0, 0, 0, 1]))],
  ["priorities", frame(2, 0, 1, Buffer.from([0, 0, 0, 3, 7]))],
  ["frames of no known type", frame(99, 0, 0, Buffer.alloc(1))],
];
const continuation = 9;
const first = create(DiscoveryRequestSchema, {
  node: { id: "edge-1" },
  typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
});

describe.each(everywhere)("at %s", (where) => {
  it("headers in CONTINUATION frames of a byte end by a deadline", async () => {
    const socket = connection(where, "h2");
    const head = frame(kind.headers, 0, 1, Buffer.from([0x83]));
    // A literal field without a name's end: more of it comes for ever.
    const begin = Buffer.concat([
      hello,
      head,
      frame(continuation, 0, 1, Buffer.from([0, 0x7f, 0xff])),
    ]);
    const gone = drip(socket, begin, () => frame(continuation, 0, 1, Buffer.from([0x80])));
    await served(where);
    await gone;
  });

  it("the preface of HTTP/2, a byte at a time, ends by a deadline", async () => {
    const socket = connection(where, "h2");
    let at = 3;
    const next = () => hello.subarray(at, ++at);
    const gone = drip(socket, hello.subarray(0, 3), next);
    await served(where);
    await gone;
  });

  it.each(small)("%s on a session without a stream end by a deadline", async (_what, bytes) => {
    const socket = connection(where, "h2");
    const gone = drip(socket, hello, () => bytes);
    await served(where);
    await gone;
  });

  it("a body that drips ends by a deadline, and the session when nothing else is on it", async () => {
    const socket = connection(where, "h2");
    const head = request(1, where.startsWith("xDS") ? xdsFields : fields);
    // A message of 16 MiB, one byte after the other.
    const begin = frame(kind.data, 0, 1, Buffer.from([0, 0, 1, 0, 0]));
    const gone = drip(socket, Buffer.concat([hello, head, begin]), () =>
      frame(kind.data, 0, 1, Buffer.from([0])),
    );
    await served(where);
    await gone;
  });
});

describe.each(everywhere.filter((where) => where.startsWith("the API")))("at %s", (where) => {
  it.each([
    ["headers", "POST / HTTP/1.1\r\nhost: localhost\r\nx: "],
    ["a body", "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n"],
    [
      "a body in chunks",
      "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n",
    ],
  ])("%s over HTTP/1.1, a byte at a time, ends by a deadline", async (_what, begin) => {
    const gone = drip(connection(where, "http/1.1"), Buffer.from(begin), () => Buffer.from("a"));
    await served(where);
    await gone;
  });
});

describe.each(everywhere.filter((where) => where.endsWith("TLS")))("at %s", (where) => {
  it("a handshake, a byte at a time, ends by a deadline", async () => {
    const said = await clientHello();
    const socket = connectTcp(portOf(where), "127.0.0.1");
    socket.on("error", () => {}).resume();
    onTestFinished(() => void socket.destroy());
    let at = 0;
    const gone = drip(socket, said.subarray(0, 1), () => said.subarray(++at, at + 1));
    await served(where);
    await gone;
    expect(at).toBeLessThan(said.length);
  });
});

describe.each(everywhere.filter((where) => where.startsWith("xDS")))("at %s", (where) => {
  /** Opens a stream of a proxy that has said who it is. */
  const entered = Buffer.concat([
    hello,
    request(1, xdsFields),
    frame(kind.data, 0, 1, grpcFrame(toBinary(DiscoveryRequestSchema, first))),
  ]);

  it("a later request, a byte at a time, ends by a deadline", async () => {
    const socket = connection(where, "h2");
    const begin = Buffer.concat([entered, frame(kind.data, 0, 1, Buffer.from([0, 0, 1, 0, 0]))]);
    const gone = drip(socket, begin, () => frame(kind.data, 0, 1, Buffer.from([0])));
    await served(where);
    await gone;
  });

  it("a proxy that answers no ping is let go, one that does stays", async () => {
    const session = wellBehaved(where);
    let pings = 0;
    session.on("ping", () => pings++);
    const stream = session.request(xdsFields, { endStream: false });
    stream.on("error", () => {}).resume();
    stream.write(grpcFrame(toBinary(DiscoveryRequestSchema, first)));

    const silent = connection(where, "h2");
    let gone = false;
    silent.once("close", () => {
      gone = true;
    });
    silent.write(entered);
    await expect.poll(() => gone, ceiling).toBe(true);
    const before = pings;
    await expect.poll(() => pings, ceiling).toBeGreaterThan(before + 2);
    expect(stream.closed).toBe(false);
  });
});
