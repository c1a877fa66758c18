import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { filterName } from "../../control/xds/resources/options.ts";
import { createStagedPush, type Refusal, type StagedPush } from "../../control/xds/staged.ts";
import { resourceTypes } from "../../control/xds/types.ts";

import { sotw, startXds, type TestServer } from "./fake-envoy.ts";
import { snapshotOf } from "./snapshots.ts";

const ecds = resourceTypes.find(({ name }) => name === "ECDS")?.url ?? "";

const snapshot = (canary: number) => snapshotOf({ stable: 100 - canary, canary });

let server: TestServer;
let push: StagedPush;
let refusals: Refusal[];
let silent: string[];
let opened: { close(): void }[];
beforeEach(async () => {
  server = await startXds();
  refusals = [];
  silent = [];
  opened = [];
  push = createStagedPush(server.xds, server.fleet, {
    // Long enough for a busy machine, short enough for the test that waits for it.
    silentMs: 2000,
    onRefusal: (refusal) => refusals.push(refusal),
    onSilence: (node) => silent.push(node),
  });
});
afterEach(async () => {
  push.close();
  for (const each of opened) each.close();
  await server.close();
});

/** A proxy that has acknowledged what is published. */
async function proxy(id: string) {
  const envoy = sotw(server.port);
  opened.push(envoy);
  const request = { typeUrl: ecds, resourceNames: [filterName] };
  envoy.send({ ...request, node: { id } });
  const first = await envoy.next();
  const answer = (version: string, nonce: string, refusal?: string) =>
    envoy.send({
      ...request,
      versionInfo: version,
      responseNonce: nonce,
      ...(refusal ? { errorDetail: { code: 3, message: refusal } } : {}),
    });
  answer(first.versionInfo, first.nonce);
  await vi.waitFor(() => expect(server.fleet.runs(id, "ECDS", first.versionInfo)).toBe(true));
  return { ...envoy, answer };
}

describe("a push to several proxies", () => {
  it("goes to one of them, and to the others when that one runs it", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    const sent = await one.next();
    await two.silence();
    one.answer(sent.versionInfo, sent.nonce);
    expect((await two.next()).versionInfo).toBe(sent.versionInfo);
    await one.silence();
  });

  it("stops when the first one refuses: the others keep what they have, also those that come later", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    const bad = await one.next();
    one.answer("", bad.nonce, "no such thing");
    await vi.waitFor(() => expect(refusals).toHaveLength(1));
    expect(push.refused()).toEqual({ node: "one", type: "ECDS", message: "no such thing" });
    await two.silence();
    await proxy("three");
    expect(server.fleet.runs("three", "ECDS", bad.versionInfo)).toBe(false);
  });

  it("does not try what one proxy refused on the next one", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    one.answer("", (await one.next()).nonce, "no");
    await vi.waitFor(() => expect(refusals).toHaveLength(1));
    push.push(() => snapshot(20), false);
    expect(refusals).toHaveLength(2);
    await two.silence();
  });

  it("goes to all of them at once when it leads back", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    await one.next();
    push.push(() => snapshot(10), true);
    // The first one gets the old state again, the other one never left it.
    expect((await one.next()).versionInfo).toBe(server.xds.current()?.(["*"]).ECDS.version);
    await two.silence();
    push.push(() => snapshot(30), true);
    await Promise.all([one.next(), two.next()]);
  });

  it("passes over a first one that says nothing, and names it", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    await one.next();
    const sent = await two.next(10_000);
    expect(silent).toEqual(["one"]);
    two.answer(sent.versionInfo, sent.nonce);
    await vi.waitFor(() => expect(server.xds.current()?.(["*"])).toEqual(snapshot(20)));
  });

  it("passes over a first one that goes away", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    await one.next();
    one.close();
    await two.next();
    expect(silent).toEqual([]);
  });

  it("is overtaken by the next one", async () => {
    push.push(() => snapshot(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(() => snapshot(20), false);
    await one.next();
    push.push(() => snapshot(30), false);
    const sent = await one.next();
    one.answer(sent.versionInfo, sent.nonce);
    expect((await two.next()).versionInfo).toBe(sent.versionInfo);
    expect(server.xds.current()?.(["*"])).toEqual(snapshot(30));
  });
});
