import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createStagedPush, type StagedPush } from "../../control/publish/staged.ts";
import type { Sendable } from "../../control/publish/trial.ts";
import { filterName } from "../../control/xds/resources/options.ts";
import type { Refusal } from "../../control/xds/shown.ts";
import { resourceTypes } from "../../control/xds/types.ts";

import { sotw, startXds, type TestServer } from "./fake-envoy.ts";
import { snapshotOf } from "./snapshots.ts";

const ecds = resourceTypes.find(({ name }) => name === "ECDS")?.url ?? "";

const snapshot = (canary: number) => snapshotOf({ stable: 100 - canary, canary });
const edition = (canary: number): Sendable => ({ snapshot: snapshot(canary) });
const settled = () => staged.settled(["*"])?.snapshot;

let server: TestServer;
let push: { push(edition: Sendable, urgent: boolean): void; close(): void };
let staged: StagedPush<Sendable>;
let refusals: Refusal[];
let silent: string[];
let renewed: [unknown, unknown][];
let opened: { close(): void }[];
beforeEach(async () => {
  server = await startXds();
  refusals = [];
  silent = [];
  renewed = [];
  opened = [];
  staged = createStagedPush<Sendable>(server.xds, server.fleet, {
    initial: () => ({ snapshot: snapshot(0) }),
    onSettled: () => {},
    renew(_, waiting, settled) {
      renewed.push([waiting.snapshot, settled.snapshot]);
      return waiting;
    },
    // Long enough for a busy machine, short enough for the test that waits for it.
    silentMs: 2000,
    onRefusal: (_, refusal) => refusals.push(refusal),
    onSilence: (node) => silent.push(node),
  });
  push = {
    push: (edition, urgent) => staged.push([{ scope: ["*"], edition, tried: !urgent }]),
    close: staged.close,
  };
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
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    const sent = await one.next();
    await two.silence();
    one.answer(sent.versionInfo, sent.nonce);
    expect((await two.next()).versionInfo).toBe(sent.versionInfo);
    await one.silence();
  });

  it("stops when the first one refuses: all keep what they have, also those that come later and the one itself", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    const before = settled();
    push.push(edition(20), false);
    const bad = await one.next();
    one.answer("", bad.nonce, "no such thing");
    await vi.waitFor(() =>
      expect(refusals).toEqual([{ node: "one", type: "ECDS", message: "no such thing" }]),
    );
    expect((await one.next()).versionInfo).toBe(before?.ECDS.version);
    await two.silence();
    await proxy("three");
    expect(server.fleet.runs("three", "ECDS", bad.versionInfo)).toBe(false);
  });

  it("goes to all of them at once when it leads back", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    await one.next();
    push.push(edition(10), true);
    // The first one gets the old state again, the other one never left it.
    expect((await one.next()).versionInfo).toBe(settled()?.ECDS.version);
    await two.silence();
    push.push(edition(30), true);
    await Promise.all([one.next(), two.next()]);
  });

  it("refreshes what is tried and what runs, and goes on with the trial", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    const tried = await one.next();
    const EDS = { version: "other pods", resources: new Map() };
    staged.refresh(({ snapshot: before }) => ({ snapshot: { ...before, EDS } }));
    expect([settled()?.EDS, staged.newest(["*"])?.snapshot.EDS]).toEqual([EDS, EDS]);
    expect(settled()?.ECDS.version).toBe(snapshot(10).ECDS.version);
    await two.silence();
    one.answer(tried.versionInfo, tried.nonce);
    expect((await two.next()).versionInfo).toBe(tried.versionInfo);
    expect(settled()?.EDS).toBe(EDS);
  });

  it("passes over a first one that says nothing, and names it", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    await one.next();
    const sent = await two.next(10_000);
    expect(silent).toEqual(["one"]);
    two.answer(sent.versionInfo, sent.nonce);
    await vi.waitFor(() => expect(settled()).toEqual(snapshot(20)));
  });

  it("passes over a first one that goes away", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    await one.next();
    one.close();
    await two.next();
    expect(silent).toEqual([]);
  });

  it("is not overtaken: what comes meanwhile is tried after it, the newest of it only", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    const first = await one.next();
    push.push(edition(25), false);
    push.push(edition(30), false);
    await one.silence();
    expect(staged.newest(["*"])?.snapshot).toEqual(snapshot(30));
    one.answer(first.versionInfo, first.nonce);
    expect((await two.next()).versionInfo).toBe(first.versionInfo);
    expect(settled()).toEqual(snapshot(20));
    const last = await one.next();
    expect(last.versionInfo).toBe(snapshot(30).ECDS.version);
    one.answer(last.versionInfo, last.nonce);
    expect((await two.next()).versionInfo).toBe(last.versionInfo);
  });

  it("comes to all of them also while changes come faster than the first one answers", async () => {
    push.push(edition(1), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(2), false);
    const came: string[] = [];
    for (let canary = 3; canary <= 12; canary++) {
      const sent = await one.next();
      // Always before the first one has answered.
      push.push(edition(canary), false);
      one.answer(sent.versionInfo, sent.nonce);
      const others = await two.next();
      two.answer(others.versionInfo, others.nonce);
      came.push(others.versionInfo);
    }
    expect(came).toEqual(Array.from({ length: 10 }, (_, i) => snapshot(i + 2).ECDS.version));
  });

  it("is made anew from what runs by then, when its turn comes", async () => {
    push.push(edition(10), false);
    const one = await proxy("one");
    push.push(edition(20), false);
    const sent = await one.next();
    push.push(edition(30), false);
    one.answer(sent.versionInfo, sent.nonce);
    await vi.waitFor(() => expect(renewed).toEqual([[snapshot(30), snapshot(20)]]));
  });

  it("gives way at once to what leads back, with all that waits", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    await one.next();
    push.push(edition(30), false);
    push.push(edition(5), true);
    expect((await one.next()).versionInfo).toBe(snapshot(5).ECDS.version);
    expect((await two.next()).versionInfo).toBe(snapshot(5).ECDS.version);
    expect(staged.newest(["*"])?.snapshot).toEqual(snapshot(5));
    await one.silence();
  });

  it("goes on with the newest when the first one says nothing or goes away", async () => {
    push.push(edition(10), false);
    const [one, two] = [await proxy("one"), await proxy("two")];
    push.push(edition(20), false);
    await one.next();
    push.push(edition(30), false);
    one.close();
    expect((await two.next()).versionInfo).toBe(snapshot(30).ECDS.version);
  });
});
