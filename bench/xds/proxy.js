// A proxy that costs next to nothing: HTTP/2 frames by hand on a plain socket,
// windows so large that none has to be widened, one ADS stream.
import { createConnection } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "#control/gen/envoy/service/discovery/v3/discovery_pb.js";
import { resourceTypes } from "#control/xds/index.js";

/** @param {number} type @param {number} flags @param {number} stream @param {Buffer} payload */
function frame(type, flags, stream, payload) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header field that no table holds (RFC 7541, 6.2.2). @param {string} name @param {string} value */
function field(name, value) {
  const long = (/** @type {number} */ length) =>
    length < 127 ? Buffer.from([length]) : Buffer.from([127, length - 127]);
  return Buffer.concat([
    Buffer.from([0]),
    ...[name, value].flatMap((text) => [long(text.length), Buffer.from(text)]),
  ]);
}

const hello = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(4, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])),
  frame(8, 0, 0, Buffer.from([0x7f, 0xfe, 0, 0])),
  frame(
    1,
    4,
    1,
    Buffer.concat([
      field(":method", "POST"),
      field(":scheme", "http"),
      field(":authority", "weir"),
      field(
        ":path",
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
      ),
      field("content-type", "application/grpc"),
      field("te", "trailers"),
    ]),
  ),
]);
const settingsAck = frame(4, 1, 0, Buffer.alloc(0));

/** @param {import("@bufbuild/protobuf").MessageInitShape<typeof DiscoveryRequestSchema>} init */
function request(init) {
  const message = toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, init));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return frame(0, 0, 1, Buffer.concat([head, message]));
}

/** Names that a proxy asks for, of the types it must name. @type {Record<string, string[]>} */
const names = {
  CDS: [],
  EDS: ["inference/chat/stable", "inference/chat/canary"],
  LDS: [],
  RDS: ["weir"],
  ECDS: ["weir"],
};

/** Answers are the same for all streams: each is read once. @type {Map<string, Buffer>} */
const acks = new Map();

/** The ACK of a response; equal responses have equal heads. @param {Buffer} message */
function ackOf(message) {
  const key = message.toString("latin1", 0, 32) + message.toString("latin1", message.length - 24);
  let ack = acks.get(key);
  if (ack === undefined) {
    const { typeUrl, versionInfo, nonce } = fromBinary(DiscoveryResponseSchema, message);
    const type = resourceTypes.find(({ url }) => url === typeUrl);
    ack = request({
      typeUrl,
      versionInfo,
      responseNonce: nonce,
      resourceNames: names[type?.name ?? ""] ?? [],
    });
    if (acks.size > 100) acks.clear();
    acks.set(key, ack);
  }
  return ack;
}

/**
 * Opens a stream and subscribes to the types; calls back for each response, which is acknowledged.
 * @param {number} port @param {string} id @param {readonly string[]} types @param {() => void} responded
 */
export function openProxy(port, id, types, responded) {
  const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => {});
  socket.write(hello);
  for (const [i, name] of types.entries()) {
    const type = resourceTypes.find((each) => each.name === name);
    socket.write(
      request({
        ...(i === 0 ? { node: { id, cluster: "bench" } } : {}),
        typeUrl: type?.url ?? "",
        resourceNames: names[name] ?? [],
      }),
    );
  }
  let rest = Buffer.alloc(0);
  let message = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 9) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) return;
      const [type, flags] = [rest[3], rest[4] ?? 0];
      if (type === 4 && (flags & 1) === 0) socket.write(settingsAck);
      if (type === 0) {
        const data = rest.subarray(9, 9 + length);
        message = message.length === 0 ? data : Buffer.concat([message, data]);
        while (message.length >= 5 && message.length >= 5 + message.readUInt32BE(1)) {
          const end = 5 + message.readUInt32BE(1);
          responded();
          socket.write(ackOf(message.subarray(5, end)));
          message = message.subarray(end);
        }
      }
      rest = rest.subarray(9 + length);
    }
  });
  return socket;
}
