import { afterEach, beforeEach, expect, it } from "vitest";
import { resourceTypes, type TypeName } from "../../control/xds/index.ts";
import { sotw, startXds, type TestServer } from "./fake-envoy.ts";
import { snapshotOf } from "./snapshots.ts";

const url = (name: TypeName) => resourceTypes.find((type) => type.name === name)?.url ?? "";
const node = { id: "envoy-1", cluster: "weir" };
const refusal = { code: 13, message: "Unable to create Wasm plugin weir" };

let server: TestServer;
let envoy: ReturnType<typeof sotw>;
beforeEach(async () => {
  server = await startXds();
  envoy = sotw(server.port);
});
afterEach(async () => {
  envoy.close();
  await server.close();
});

const state = (type: TypeName) =>
  server.fleet.list()[0]?.resources.find((each) => each.type === type);

it("answers a first request at once, and an acknowledgement not at all", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("CDS") });
  const response = await envoy.next();
  expect(response.resources).toHaveLength(3);
  envoy.send({
    typeUrl: url("CDS"),
    versionInfo: response.versionInfo,
    responseNonce: response.nonce,
  });
  await envoy.silence();
  expect(state("CDS")).toMatchObject({
    sentVersion: response.versionInfo,
    ackedVersion: response.versionInfo,
  });
});

it("X8: holds a request that comes before there is anything", async () => {
  envoy.send({ node, typeUrl: url("RDS"), resourceNames: ["weir"] });
  await envoy.silence();
  server.xds.publish(snapshotOf({ stable: 100 }));
  expect((await envoy.next()).resources).toHaveLength(1);
});

it("X17: sends nothing when the same state is published again, and only what changed otherwise", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  const wanted: [TypeName, string[]][] = [
    ["CDS", []],
    ["LDS", []],
    ["RDS", ["weir"]],
    ["ECDS", ["weir"]],
  ];
  for (const [type, resourceNames] of wanted) {
    envoy.send({ node, typeUrl: url(type), resourceNames });
    const { versionInfo, nonce } = await envoy.next();
    envoy.send({ typeUrl: url(type), resourceNames, versionInfo, responseNonce: nonce });
  }
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  await envoy.silence();
  server.xds.publish(snapshotOf({ stable: 80, canary: 20 }));
  const types = [(await envoy.next()).typeUrl, (await envoy.next()).typeUrl];
  expect(types).toEqual([url("RDS"), url("ECDS")]);
  await envoy.silence();
});

it("X2: shows a refusal in the proxy's words, keeps quiet until there is something else, and believes no late yes", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("ECDS"), resourceNames: ["weir"] });
  const bad = await envoy.next();
  envoy.send({
    typeUrl: url("ECDS"),
    resourceNames: ["weir"],
    responseNonce: bad.nonce,
    errorDetail: refusal,
  });
  await envoy.silence();
  expect(state("ECDS")).toMatchObject({
    nackedVersion: bad.versionInfo,
    nackMessage: refusal.message,
    ackedVersion: "",
  });
  expect(server.nacks).toEqual([`envoy-1 ECDS ${bad.versionInfo} ${refusal.message}`]);

  server.xds.publish(snapshotOf({ stable: 100 }));
  const good = await envoy.next();
  envoy.send({
    typeUrl: url("ECDS"),
    resourceNames: ["weir"],
    versionInfo: good.versionInfo,
    responseNonce: good.nonce,
  });
  await envoy.silence();
  expect(state("ECDS")).toMatchObject({ nackMessage: "", ackedVersion: good.versionInfo });

  // Envoy acknowledges an extension configuration that it refused before, and goes on with the old one.
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  const again = await envoy.next();
  expect(again.versionInfo).toBe(bad.versionInfo);
  envoy.send({
    typeUrl: url("ECDS"),
    resourceNames: ["weir"],
    versionInfo: again.versionInfo,
    responseNonce: again.nonce,
  });
  await envoy.silence();
  expect(state("ECDS")?.ackedVersion).toBe(good.versionInfo);
  expect(server.fleet.list()[0]?.inSync).toBe(false);
});

it("X1: ignores an answer to something older", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("RDS"), resourceNames: ["weir"] });
  const first = await envoy.next();
  server.xds.publish(snapshotOf({ stable: 80, canary: 20 }));
  const second = await envoy.next();
  envoy.send({
    typeUrl: url("RDS"),
    resourceNames: ["weir"],
    versionInfo: first.versionInfo,
    responseNonce: first.nonce,
  });
  await envoy.silence();
  expect(state("RDS")?.ackedVersion).toBe("");
  envoy.send({
    typeUrl: url("RDS"),
    resourceNames: ["weir"],
    versionInfo: second.versionInfo,
    responseNonce: second.nonce,
  });
  await envoy.silence();
  expect(state("RDS")?.ackedVersion).toBe(second.versionInfo);
});

it("X6: treats an empty list of names as all at first, as none after any name", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("CDS"), resourceNames: ["weir_control"] });
  const one = await envoy.next();
  expect(one.resources).toHaveLength(1);
  envoy.send({
    typeUrl: url("CDS"),
    resourceNames: [],
    versionInfo: one.versionInfo,
    responseNonce: one.nonce,
  });
  await envoy.silence();
});

it("sends what is newly named although nothing changed", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("EDS"), resourceNames: ["inference/chat/stable"] });
  const one = await envoy.next();
  envoy.send({
    typeUrl: url("EDS"),
    resourceNames: ["inference/chat/stable", "inference/chat/canary"],
    versionInfo: one.versionInfo,
    responseNonce: one.nonce,
  });
  const both = await envoy.next();
  expect(both.resources).toHaveLength(2);
  expect(both.nonce).not.toBe(one.nonce);
});

it("sends the endpoints again after their clusters changed: Envoy waits for them", async () => {
  server.xds.publish(snapshotOf({ stable: 100 }));
  envoy.send({ node, typeUrl: url("CDS") });
  const clusters = await envoy.next();
  envoy.send({
    typeUrl: url("CDS"),
    versionInfo: clusters.versionInfo,
    responseNonce: clusters.nonce,
  });
  envoy.send({ typeUrl: url("EDS"), resourceNames: ["inference/chat/stable"] });
  const endpoints = await envoy.next();
  envoy.send({
    typeUrl: url("EDS"),
    resourceNames: ["inference/chat/stable"],
    versionInfo: endpoints.versionInfo,
    responseNonce: endpoints.nonce,
  });
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  expect((await envoy.next()).typeUrl).toBe(url("CDS"));
  const again = await envoy.next();
  expect([again.typeUrl, again.versionInfo]).toEqual([url("EDS"), endpoints.versionInfo]);
});

it("X11: leaves a proxy alone that comes back with what it would be sent", async () => {
  server.xds.publish(snapshotOf({ stable: 100 }));
  envoy.send({ node, typeUrl: url("CDS") });
  const { versionInfo } = await envoy.next();
  envoy.close();
  const back = sotw(server.port);
  back.send({ node, typeUrl: url("CDS"), versionInfo });
  await back.silence();
  expect(server.fleet.list()[0]).toMatchObject({ connected: true, inSync: true });
  back.close();
  const outdated = sotw(server.port);
  outdated.send({ node, typeUrl: url("CDS"), versionInfo: "from-another-day" });
  expect((await outdated.next()).versionInfo).toBe(versionInfo);
  outdated.close();
});

it("X7: leaves a watch for an unknown type empty", async () => {
  server.xds.publish(snapshotOf({ stable: 100 }));
  envoy.send({
    node,
    typeUrl: "type.googleapis.com/envoy.service.runtime.v3.Runtime",
    resourceNames: ["x"],
  });
  await envoy.silence();
  envoy.send({ typeUrl: url("CDS") });
  expect((await envoy.next()).typeUrl).toBe(url("CDS"));
});

it.each<[string, Parameters<typeof envoy.send>[0], string, RegExp]>([
  ["has no node", { typeUrl: url("CDS") }, "3", /must carry a node with an id/],
  [
    "has a node without id",
    { node: { id: "" }, typeUrl: url("CDS") },
    "3",
    /must carry a node with an id/,
  ],
  [
    "names 20,001 resources",
    { node, typeUrl: url("EDS"), resourceNames: Array.from({ length: 20_001 }, (_, i) => `r${i}`) },
    "8",
    /20001 resource names: at most 20000/,
  ],
  [
    "names one of a megabyte",
    { node, typeUrl: url("EDS"), resourceNames: ["x".repeat(1 << 20)] },
    "8",
    /at most 1024 are allowed/,
  ],
])(
  "X5, X9: ends a stream whose request %s, and says why",
  async (_name, request, status, message) => {
    envoy.send(request);
    const ended = await envoy.ended;
    expect(ended.status).toBe(status);
    expect(ended.message).toMatch(message);
  },
);

it("ends a stream that is no gRPC, and serves the next", async () => {
  envoy.stream.write(Buffer.from([1, 0, 0, 0, 1, 0]));
  expect((await envoy.ended).message).toMatch(/compressed messages are not accepted/);
  const huge = sotw(server.port);
  huge.stream.write(Buffer.from([0, 255, 255, 255, 255]));
  expect((await huge.ended).message).toMatch(/at most 4194304 are allowed/);
  huge.close();
  server.xds.publish(snapshotOf({ stable: 100 }));
  const next = sotw(server.port);
  next.send({ node, typeUrl: url("CDS") });
  expect((await next.next()).resources).toHaveLength(2);
  next.close();
});
