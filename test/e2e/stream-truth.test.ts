import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { valuesOf } from "../host/header-map.ts";
import { generator } from "../random.ts";
import { fullCase, fullCaseOf, fullTruth } from "./truth/full-cases.ts";
import { type Begun, type Played, type Stage, startStage } from "./truth/play.ts";
import { probeCase } from "./truth/probe-case.ts";
import { type Replayed, replay } from "./truth/replay.ts";
import { tokenCase, tokenTruth } from "./truth/token-cases.ts";
import type { Seen } from "./truth/watch.ts";
import { compileFor, type Watched } from "./truth/watched-envoy.ts";

// Whole streams through a real Envoy, in HTTP/1 and HTTP/2: what its filter was
// given, piece by piece, is given to the emulated one, and all that came of it
// must come out the same: headers in order, pieces of bodies, trailers, answers
// of its own, what is held back, and what is counted.

let stage: Stage;
const directory = mkdtempSync(join(tmpdir(), "weir-probe-"));
const probe: Watched = { file: join(directory, "probe.wasm"), config: {} };
beforeAll(async () => {
  await compileFor("test/e2e/truth/probe/index.ts", probe.file);
  stage = await startStage({ full: fullTruth, token: tokenTruth, probe });
});
afterAll(async () => {
  await stage.stop();
  rmSync(directory, { recursive: true });
});

/** Every callback must have had the same effects. */
function expectEqual(callbacks: Replayed[]): void {
  for (const { context, given, envoy, emulated } of callbacks)
    expect(untimed(emulated), `stream ${context}: ${given.kind} ${given.bytes}`).toEqual(
      untimed(envoy),
    );
}

/** Which requests ask a pod for its load is a matter of the clock: about one in a second. */
function untimed(effects: Replayed["envoy"]): Replayed["envoy"] {
  return effects.map((each) =>
    each.headers
      ? {
          ...each,
          headers: each.headers.filter(([name]) => name !== "endpoint-load-metrics-format"),
        }
      : each,
  );
}

/** Replays a listener's streams, which must have had the same effects, and counted the same. */
async function replayedAt(listener: string, filter: Watched): Promise<Replayed[]> {
  const report = await stage.report(listener);
  const replayed = replay(filter, listener, stage.seenAt(listener));
  expectEqual(replayed.callbacks);
  expect(countersOf(report).length).toBeGreaterThan(10);
  expect(countersOf(replayed.report)).toEqual(countersOf(report));
  return replayed.callbacks;
}

/** Counters of a report, but for those of the tenants, who take turns in it. */
function countersOf(report: string): string[] {
  const { counters } = JSON.parse(report) as { counters: { tenant?: string }[] };
  return counters
    .filter(({ tenant }) => tenant === undefined)
    .map((counter) => JSON.stringify(counter))
    .sort();
}

/** What the recorders saw is what the pods and the client got. */
function expectSame({ got, arrived }: Played, context: number, seen: Seen[]): void {
  const bytes = (side: Seen["side"], of: Seen["kind"]) =>
    Buffer.concat(
      seen
        .filter((each) => each.context === context && each.side === side && each.kind === of)
        .map((each) => each.bytes),
    ).toString("latin1");
  expect(got.body.toString("latin1")).toBe(bytes("front", "response body"));
  if (arrived) expect(arrived.body.toString("latin1")).toBe(bytes("behind", "request body"));
}

/** The streams were of all kinds. */
function expectAtLeast(seen: Record<string, number>, min: Record<string, number>): void {
  const few = Object.entries(min).filter(([name, number]) => (seen[name] ?? 0) < number);
  expect(few, JSON.stringify(seen)).toEqual([]);
}

const bodyOf = ({ envoy }: Replayed) => envoy.map(({ body }) => body).join("");
const isEdited = (each: Replayed) => bodyOf(each) !== each.given.bytes.toString("latin1");
/** Values of a header in what went on. */
const passed = ({ envoy }: Replayed, name: string) => valuesOf(envoy[0]?.headers ?? [], name);
/** Values of a header in what came. */
const came = ({ given }: Replayed, name: string) => valuesOf(given.headers, name);

describe("the emulated host", () => {
  it("answers what a filter should not have asked as Envoy does", async () => {
    for (const protocol of ["h1", "h2"] as const) {
      const begun = await stage.begin("probe", probeCase(protocol));
      expectSame(await begun.finish(), begun.context, stage.seenAt("probe"));
    }
    const { callbacks } = replay(probe, "probe", stage.seenAt("probe"));
    expectEqual(callbacks);
    expect(new Set(callbacks.map(({ given }) => given.kind)).size).toBe(6);
    expect(callbacks.filter(isEdited).length).toBeGreaterThanOrEqual(8);
  });

  it("does with requests in flight and what pods say of themselves what Envoy did", async () => {
    const random = generator(7);
    const open: Begun[] = [];
    for (let i = 0; i < 240; i++) {
      open.push(await stage.begin("full", fullCase(`full-${i}`, random)));
      while (open.length > 0 && (random() < 0.5 || open.length > 6)) {
        const [begun] = open.splice(Math.floor(random() * open.length), 1) as [Begun];
        if (random() < 0.2) await begun.leave();
        else expectSame(await begun.finish(), begun.context, stage.seenAt("full"));
      }
    }
    for (const begun of open) await begun.finish();
    for (let i = 0; i < 12; i++) {
      const tenant = i % 3 === 2 ? "acme" : "late";
      await (await stage.begin("full", fullCaseOf(`late-${i}`, tenant, 500))).finish();
      // The share that is let in falls every 200 ms at most.
      if (i === 0) await sleep(300);
    }
    const all = await replayedAt("full", fullTruth);
    const policies = all.map((each) => passed(each, "ratelimit-policy").join());
    const refusedBy = (policy: string) => policies.filter((each) => each.includes(policy)).length;
    const answers = all.filter(({ given }) => given.kind === "response headers");
    const trailers = all.filter(({ given }) => given.kind.endsWith("trailers"));
    const load = "endpoint-load-metrics";
    const seen = {
      byRate: refusedBy('"requests"'),
      byTenant: refusedBy('"concurrent"'),
      byRoute: refusedBy('"route-concurrent"'),
      byOverload: all.filter((each) => bodyOf(each).includes('"overloaded"')).length,
      ofGrpc: all.filter((each) => passed(each, "grpc-status")[0] === "8").length,
      loadRemoved: answers.filter(
        (each) => came(each, load).length > 0 && passed(each, load).length === 0,
      ).length,
      retryAdded: answers.filter(
        (each) => came(each, "retry-after").length < passed(each, "retry-after").length,
      ).length,
      trailersCleaned: trailers.filter(
        ({ given, envoy }) => (envoy[0]?.headers.length ?? 0) < given.headers.length,
      ).length,
    };
    expectAtLeast(seen, {
      byRate: 20,
      byTenant: 3,
      byRoute: 3,
      byOverload: 1,
      ofGrpc: 5,
      loadRemoved: 20,
      retryAdded: 15,
      trailersCleaned: 30,
    });
  });

  it("does with a token limit's streams what Envoy did, to the byte", async () => {
    const random = generator(7);
    for (let i = 0; i < 160; i++) {
      // Some ask again before their minute is over.
      const one = random();
      const limited = one < 0.5 ? `small-${i >> 2}` : `tiny-${i >> 1}`;
      const tenant = one < 0.9 ? limited : one < 0.94 ? "barred" : "open";
      const begun = await stage.begin("token", tokenCase(`token-${i}`, tenant, random));
      expectSame(await begun.finish(), begun.context, stage.seenAt("token"));
    }
    const all = await replayedAt("token", tokenTruth);
    const of = (kind: string) => all.filter(({ given }) => given.kind === kind);
    const seen = {
      refused: all.filter((each) => passed(each, ":status")[0] === "429").length,
      malformed: all.filter((each) => bodyOf(each).includes("body_malformed")).length,
      asked: of("request body").filter((each) => bodyOf(each).includes(':{"include_usage"')).length,
      promptEdits: of("request body").filter(isEdited).length,
      answerEdits: of("response body").filter(isEdited).length,
      heldBack: all.filter(({ envoy }) => envoy.length === 0).length,
      finished: all.filter((each) => bodyOf(each).includes('"finish_reason":"length"}]')).length,
      told: all.filter((each) => passed(each, "x-ratelimit-remaining-tokens").length > 0).length,
    };
    expectAtLeast(seen, {
      refused: 10,
      malformed: 1,
      asked: 10,
      promptEdits: 60,
      answerEdits: 30,
      heldBack: 15,
      finished: 1,
      told: 80,
    });
  });
});
