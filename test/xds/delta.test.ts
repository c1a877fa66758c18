import { afterEach, beforeEach, expect, it } from "vitest";
import { resourceTypes, type TypeName, withoutRemovals } from "../../control/xds/index.ts";
import { delta, startXds, type TestServer } from "./fake-envoy.ts";
import { snapshotOf } from "./snapshots.ts";

const url = (name: TypeName) => resourceTypes.find((type) => type.name === name)?.url ?? "";
const node = { id: "envoy-1", cluster: "weir" };

let server: TestServer;
let envoy: ReturnType<typeof delta>;
beforeEach(async () => {
  server = await startXds();
  envoy = delta(server.port);
});
afterEach(async () => {
  envoy.close();
  await server.close();
});
const names = ({ resources }: { resources: { name: string }[] }) =>
  resources.map(({ name }) => name);

it("sends only what changed and names what is gone", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("CDS") });
  const first = await envoy.next();
  expect(names(first)).toEqual(["inference/chat/stable", "inference/chat/canary", "weir_control"]);
  envoy.send({ typeUrl: url("CDS"), responseNonce: first.nonce });
  server.xds.publish(snapshotOf({ stable: 90, green: 10 }));
  const second = await envoy.next();
  expect(names(second)).toEqual(["inference/chat/green"]);
  expect(second.removedResources).toEqual(["inference/chat/canary"]);
});

it("sends what a proxy lacks of what it says it has", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({ node, typeUrl: url("CDS") });
  const { resources, nonce } = await envoy.next();
  envoy.send({ typeUrl: url("CDS"), responseNonce: nonce });
  const versions = Object.fromEntries(resources.map(({ name, version }) => [name, version]));
  envoy.close();

  const same = delta(server.port);
  same.send({ node, typeUrl: url("CDS"), initialResourceVersions: versions });
  await same.silence();
  same.close();
  const older = delta(server.port);
  older.send({
    node,
    typeUrl: url("CDS"),
    initialResourceVersions: { ...versions, weir_control: "old", gone: "x" },
  });
  const answer = await older.next();
  expect(names(answer)).toEqual(["weir_control"]);
  expect(answer.removedResources).toEqual(["gone"]);
  older.close();
});

it("X13: takes single names up and lets them go, also the unknown", async () => {
  server.xds.publish(snapshotOf({ stable: 90, canary: 10 }));
  envoy.send({
    node,
    typeUrl: url("EDS"),
    resourceNamesSubscribe: ["inference/chat/stable", "inference/none"],
  });
  expect(names(await envoy.next())).toEqual(["inference/chat/stable"]);
  envoy.send({
    typeUrl: url("EDS"),
    resourceNamesSubscribe: ["inference/chat/canary"],
    resourceNamesUnsubscribe: ["never/asked"],
  });
  expect(names(await envoy.next())).toEqual(["inference/chat/canary"]);
  envoy.send({ typeUrl: url("EDS"), resourceNamesUnsubscribe: ["inference/chat/stable"] });
  await envoy.silence();
  envoy.send({ typeUrl: url("EDS"), resourceNamesSubscribe: ["inference/chat/stable"] });
  expect(names(await envoy.next())).toEqual(["inference/chat/stable"]);
});

it("keeps clusters that go away until the routes no longer name them", () => {
  const before = snapshotOf({ stable: 90, canary: 10 });
  const after = snapshotOf({ stable: 100 });
  const gentle = withoutRemovals(before, after);
  expect([...(gentle?.CDS.resources.keys() ?? [])]).toContain("inference/chat/canary");
  expect(gentle?.RDS).toBe(after.RDS);
  expect(withoutRemovals(after, before)).toBeUndefined();
});
