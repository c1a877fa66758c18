import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DiscoveryRequestSchema } from "../../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { createFrameReader, frame } from "../../../control/xds/frames.ts";
import { startXds, type TestServer } from "../fake-envoy.ts";
import { snapshotOf, urlOf } from "./world.ts";

const path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const ask = frame(
  toBinary(
    DiscoveryRequestSchema,
    create(DiscoveryRequestSchema, { node: { id: "wire" }, typeUrl: urlOf("CDS") }),
  ),
);

let server: TestServer;
let sessions: ClientHttp2Session[];
beforeEach(async () => {
  server = await startXds();
  server.xds.publish(snapshotOf({ CDS: { a: 1 } }));
  sessions = [];
});
afterEach(async () => {
  for (const session of sessions) session.destroy();
  await server.close();
});

/** What a call was answered, all of it. */
interface Answer {
  status: number;
  headers: OutgoingHttpHeaders;
  /** Responses that came before the end. */
  messages: number;
  grpcStatus: string | undefined;
  message: string;
}

/** Opens a call with these headers, sends bytes, ends its side if told to, and waits for the end. */
async function call(
  headers: OutgoingHttpHeaders,
  { bytes = [] as Buffer[], end = false, port = server.port } = {},
): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${port}`);
  sessions.push(session);
  session.on("error", () => {});
  const stream = session.request(
    {
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    },
    { endStream: false },
  );
  const answer: Answer = {
    status: 0,
    headers: {},
    messages: 0,
    grpcStatus: undefined,
    message: "",
  };
  const frames = createFrameReader(1 << 20);
  stream.on("response", (got) => {
    answer.status = Number(got[":status"]);
    answer.headers = got;
  });
  stream.on("trailers", (got) => {
    answer.grpcStatus = String(got["grpc-status"]);
    answer.message = decodeURIComponent(String(got["grpc-message"] ?? ""));
  });
  stream.on("data", (chunk: Buffer) => {
    answer.messages += frames.push(chunk).length;
  });
  stream.on("error", () => {});
  for (const each of bytes) stream.write(each);
  if (end) stream.end();
  await new Promise((resolve) => {
    stream.once("end", resolve);
    stream.once("close", resolve);
  });
  return answer;
}

describe("X20: content-type", () => {
  it.each([
    "application/grpc",
    "application/grpc+proto",
    "application/grpc; charset=utf-8",
    "Application/gRPC",
  ])("%s is served", async (type) => {
    const answer = await call({ "content-type": type }, { bytes: [ask], end: true });
    expect(answer).toMatchObject({ status: 200, messages: 1, grpcStatus: "0" });
    expect(answer.headers["content-type"]).toBe("application/grpc");
  });

  it.each([
    "text/plain",
    "application/json",
    "application/grpc-web",
    "application/grpcish",
    "application/proto",
    "",
  ])("%s is answered 415", async (type) => {
    const answer = await call({ "content-type": type }, { bytes: [ask] });
    expect(answer).toMatchObject({ status: 415, messages: 0 });
  });

  it("none is answered 415, GET is answered 405", async () => {
    const without = await call({ "content-type": undefined as never }, { bytes: [ask] });
    expect(without.status).toBe(415);
    const got = await call({ ":method": "GET" });
    expect([got.status, got.headers.allow]).toEqual([405, "POST"]);
  });

  it("of another codec is answered UNIMPLEMENTED", async () => {
    const answer = await call({ "content-type": "application/grpc+json" }, { bytes: [ask] });
    expect(answer).toMatchObject({ status: 200, messages: 0, grpcStatus: "12" });
  });
});

describe("a call that is", () => {
  it("half-closed ends OK, before any request and after the answers", async () => {
    expect(await call({}, { end: true })).toMatchObject({ grpcStatus: "0", messages: 0 });
    expect(await call({}, { bytes: [ask], end: true })).toMatchObject({
      grpcStatus: "0",
      messages: 1,
      message: "",
    });
  });

  it("half-closed within a message ends INTERNAL", async () => {
    const answer = await call({}, { bytes: [ask.subarray(0, 9)], end: true });
    expect(answer).toMatchObject({
      grpcStatus: "13",
      message: "the stream ended in the middle of a message",
    });
  });

  it("made without te is served", async () => {
    const answer = await call({ te: undefined as never }, { bytes: [ask], end: true });
    expect(answer).toMatchObject({ messages: 1, grpcStatus: "0" });
  });

  it("cut anywhere is read all the same", async () => {
    const bytes = [...ask].map((byte) => Buffer.from([byte]));
    expect(await call({}, { bytes, end: true })).toMatchObject({ messages: 1, grpcStatus: "0" });
  });

  it("compressed is answered UNIMPLEMENTED, with what is accepted", async () => {
    const answer = await call({ "grpc-encoding": "gzip" }, { bytes: [ask] });
    expect(answer).toMatchObject({ grpcStatus: "12", messages: 0 });
    expect(answer.headers["grpc-accept-encoding"]).toBe("identity");
    expect(answer.message).toContain("gzip");
  });

  it("compressed without a word of it is answered INTERNAL", async () => {
    const flagged = Buffer.from(ask);
    flagged[0] = 1;
    expect(await call({ "grpc-encoding": "identity" }, { bytes: [flagged] })).toMatchObject({
      grpcStatus: "13",
    });
  });

  it("too large is answered RESOURCE_EXHAUSTED, from its header on", async () => {
    const answer = await call({}, { bytes: [Buffer.from([0, 0, 64, 0, 1])] });
    expect(answer.grpcStatus).toBe("8");
    expect(answer.message).toBe("a message of 4194305 bytes: at most 4194304 are allowed");
  });

  it("no protobuf is answered INVALID_ARGUMENT", async () => {
    expect(await call({}, { bytes: [frame(Buffer.from([0xff, 0xff]))] })).toMatchObject({
      grpcStatus: "3",
    });
  });

  it("over its grpc-timeout ends DEADLINE_EXCEEDED, also when it is at work", async () => {
    const answer = await call({ "grpc-timeout": "300m" }, { bytes: [ask] });
    expect(answer).toMatchObject({ grpcStatus: "4", messages: 1 });
    expect(await call({ "grpc-timeout": "1n" })).toMatchObject({ grpcStatus: "4" });
  });

  it.each(["soon", "123456789S", "-1S", "1.5S", "10"])(
    "made with the grpc-timeout %s ends INTERNAL",
    async (timeout) => {
      expect(await call({ "grpc-timeout": timeout }, { bytes: [ask] })).toMatchObject({
        grpcStatus: "13",
        messages: 0,
      });
    },
  );

  it("silent from the beginning ends DEADLINE_EXCEEDED, and one that has asked stays", async () => {
    const impatient = await startXds(400);
    impatient.xds.publish(snapshotOf({ CDS: { a: 1 } }));
    const asked = call({}, { bytes: [ask], port: impatient.port });
    const answer = await call({}, { port: impatient.port });
    expect(answer).toMatchObject({ grpcStatus: "4", message: "no request within 400 ms" });
    expect(impatient.fleet.members().some(({ node }) => node === "wire")).toBe(true);
    impatient.xds.close();
    expect(await asked).toMatchObject({ grpcStatus: "14", messages: 1, message: "closing" });
    for (const session of sessions) session.destroy();
    await impatient.close();
  });

  it("asking for more names than are allowed, request by request, is ended", async () => {
    const node = { id: "wire" };
    const typeUrl = urlOf("EDS");
    const { DeltaDiscoveryRequestSchema } = await import(
      "../../../control/gen/envoy/service/discovery/v3/discovery_pb.ts"
    );
    const bytes = Array.from({ length: 3 }, (_, piece) =>
      frame(
        toBinary(
          DeltaDiscoveryRequestSchema,
          create(DeltaDiscoveryRequestSchema, {
            node,
            typeUrl,
            resourceNamesSubscribe: Array.from({ length: 9000 }, (_, i) => `n${piece}-${i}`),
          }),
        ),
      ),
    );
    const delta = path.replace("StreamAgg", "DeltaAgg");
    const answer = await call({ ":path": delta }, { bytes });
    expect(answer).toMatchObject({ grpcStatus: "8" });
    expect(answer.message).toBe("27000 resource names: at most 20000 are allowed");
  });

  it("asking for type after type that is not served is ended", async () => {
    const bytes = Array.from({ length: 40 }, (_, i) =>
      frame(
        toBinary(
          DiscoveryRequestSchema,
          create(DiscoveryRequestSchema, { node: { id: "wire" }, typeUrl: `example/${i}` }),
        ),
      ),
    );
    expect(await call({}, { bytes })).toMatchObject({ grpcStatus: "8", messages: 0 });
  });
});
