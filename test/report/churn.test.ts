import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { FollowResponseSchema } from "../../control/gen/weir/v1/peer_pb.ts";
import {
  NeedSchema,
  type ReportRequest,
  ReportRequestSchema,
} from "../../control/gen/weir/v1/report_pb.ts";
import { createGranted } from "../../control/peers/granted.ts";
import { createPeer } from "../../control/peers/peer.ts";
import { createBudgets, createLedger, during, totalOf } from "../../control/report/index.ts";

const startMs = 1_700_000_000_000;
const minuteMs = 60_000;
const epochAt = (ms: number) => (BigInt(ms) * 1_000_000n).toString(16).padStart(16, "0");

function world() {
  let nowMs = startMs;
  const full: string[] = [];
  const ledger = createLedger(
    () => nowMs,
    (namespace, upper) => full.push(`${namespace} ${upper}`),
  );
  return {
    ledger,
    full,
    now: () => nowMs,
    later(ms: number) {
      nowMs += ms;
    },
  };
}

const counter = (route: string, label: string, value: bigint, tenant = "") => ({
  name: "responses",
  route,
  label,
  variant: "stable",
  tier: "",
  tenant,
  value,
});

const reportOf = (node: string, counters: ReturnType<typeof counter>[]): ReportRequest =>
  create(ReportRequestSchema, {
    node,
    epoch: epochAt(startMs),
    counters,
    histograms: counters.map(({ route, tenant }) => ({
      name: "time_to_first_token_ms",
      route,
      tenant,
      index: [1, 2],
      count: [1n, 1n],
    })),
  });

it("keeps no more after a thousand generations of routes, tenants and proxies than after ten", () => {
  const { ledger, later } = world();
  const upper: Record<string, number> = {};
  let early: Record<string, number> = {};
  for (let generation = 0; generation < 1_000; generation++) {
    const routes = Array.from({ length: 5 }, (_, i) => `n${generation % 7}/r${generation}-${i}`);
    for (let proxy = 0; proxy < 4; proxy++)
      ledger.add(
        reportOf(
          `proxy-${generation}-${proxy}`,
          routes.flatMap((route) => [
            counter(route, "2xx", 10n),
            counter(route, "2xx", 5n, `tenant-${generation}`),
          ]),
        ),
      );
    // One that stays, with labels that come and go.
    ledger.add(reportOf("stays", [counter("n/stays", `label-${generation}`, 1n)]));
    later(minuteMs);
    if (generation === 60) early = ledger.sizes();
    if (generation > 60)
      for (const [what, size] of Object.entries(ledger.sizes()))
        upper[what] = Math.max(upper[what] ?? 0, size);
  }
  const { nodes: earlyNodes = 0, ...earlyRest } = early;
  const { nodes = 0, ...rest } = upper;
  for (const [what, size] of Object.entries(earlyRest))
    expect([what, rest[what]]).toEqual([what, expect.toSatisfy((n: number) => n <= size * 1.5)]);
  // That a process has ended is remembered for a day, so that what it said cannot be played back.
  expect(earlyNodes).toBeGreaterThan(0);
  expect(nodes).toBeLessThanOrEqual(20_000);
});

it("a namespace that names more than it may loses its own new names, into one rest, and says so once", () => {
  const { ledger, full, later } = world();
  const many = (from: number) =>
    Array.from({ length: 30_000 }, (_, i) => counter(`loud/r${from + i}`, "2xx", 3n));
  ledger.add(reportOf("before", [counter("quiet/chat", "2xx", 7n)]));
  for (let i = 0; i < 3; i++) ledger.add(reportOf(`loud-${i}`, many(i * 30_000)));
  ledger.add(reportOf("loud-0", many(0)));
  expect(full).toEqual(["loud 50000"]);
  const room = Object.fromEntries(ledger.room().map((each) => [each.namespace, each]));
  expect(room.loud?.series).toBe(50_000);
  expect(room.loud?.beyond).toBeGreaterThan(10_000);
  expect(room.quiet).toMatchObject({ beyond: 0 });
  expect(ledger.routes()).toContain("loud/(rest)");
  expect(totalOf(ledger.observation("loud/(rest)"), "responses")).toBeGreaterThan(30_000);
  // The others go on, with names that nobody had before.
  for (let i = 0; i < 300; i++)
    ledger.add(reportOf("quiet", [counter(`quiet/new-${i}`, "2xx", 5n)]));
  expect(totalOf(ledger.observation("quiet/new-299"), "responses")).toBe(5);
  expect(totalOf(ledger.observation("quiet/chat"), "responses")).toBe(7);
  // What is gone gives its places back.
  for (let i = 0; i < 30; i++) {
    later(minuteMs);
    ledger.add(reportOf("quiet", [counter("quiet/chat", "2xx", 5n)]));
  }
  ledger.add(reportOf("loud-new", [counter("loud/after", "2xx", 9n)]));
  expect(totalOf(ledger.observation("loud/after"), "responses")).toBe(9);
  expect(ledger.routes().filter((name) => name.startsWith("loud/"))).toEqual(["loud/after"]);
}, 60_000);

it("many namespaces that name all they can leave every other one what is granted to it", () => {
  const { ledger } = world();
  for (let team = 0; team < 6; team++)
    for (let part = 0; part < 2; part++)
      ledger.add(
        create(ReportRequestSchema, {
          node: `proxy-${team}`,
          epoch: epochAt(startMs),
          counters: Array.from({ length: 25_000 }, (_, i) =>
            counter(`team${team}/chat`, `label-${part}-${i}`, 1n),
          ),
        }),
      );
  const { series = 0 } = ledger.sizes();
  expect(series).toBeLessThanOrEqual(200_000 + 6 * 2_000);
  ledger.add(reportOf("last", [counter("last/chat", "5xx", 4n)]));
  expect(totalOf(ledger.observation("last/chat"), "responses")).toBe(4);
}, 60_000);

it("proxies that someone makes up push out proxies of the same namespace, not another's", () => {
  const { ledger } = world();
  ledger.add(reportOf("real", [counter("inference/chat", "2xx", 100n)]));
  for (let i = 0; i < 25_000; i++)
    ledger.add(
      create(ReportRequestSchema, {
        node: `made-up-${i}`,
        epoch: epochAt(startMs),
        counters: [counter("loud/chat", "2xx", 1n)],
      }),
    );
  // Forgotten, it would count all that it ever counted once more.
  ledger.add(reportOf("real", [counter("inference/chat", "2xx", 101n)]));
  expect(totalOf(ledger.observation("inference/chat"), "responses")).toBe(101);
  expect(ledger.sizes().nodes).toBe(20_000);
}, 60_000);

it("a route that was silent for long, and forgotten, does not bring its past back as news", () => {
  const { ledger, later } = world();
  const say = (value: bigint) =>
    ledger.add(reportOf("edge", [counter("inference/chat", "2xx", value)]));
  say(1_000n);
  const mark = ledger.observation("inference/chat");
  for (let i = 0; i < 60; i++) {
    later(minuteMs);
    ledger.add(reportOf("edge", [counter("inference/other", "2xx", BigInt(i))]));
  }
  expect(ledger.routes()).toEqual(["inference/other"]);
  say(1_000n);
  later(1_000);
  say(1_004n);
  expect(totalOf(ledger.observation("inference/chat"), "responses")).toBe(4);
  expect(totalOf(during(mark, ledger.observation("inference/chat")), "responses")).toBe(4);
});

it("limits whose routes and proxies are gone are forgotten, and shares of other replicas' proxies too", () => {
  let nowMs = startMs;
  const budgets = createBudgets(() => 100, { nowMs: () => nowMs });
  const granted = createGranted(() => nowMs);
  for (let i = 0; i < 10_000; i++) {
    nowMs += 100;
    const need = create(NeedSchema, { route: `n/r${i}`, tenant: "acme", wanted: 5n });
    const leases = budgets.report(`proxy-${i}`, [need]);
    granted.take(`proxy-${i}`, `replica-${i % 500}`, { leases: leases as never, loads: [] });
  }
  expect(budgets.shares().length).toBeLessThanOrEqual(250);
  expect(granted.size()).toBeLessThanOrEqual(51);
  expect(granted.of("proxy-1")).toEqual({ leases: [], loads: [] });
});

it("a replica that is followed for long leaves no scopes or rollouts behind that have gone", () => {
  const peer = createPeer("10.0.0.1:8080", 0);
  for (let i = 0; i < 12_000; i++)
    peer.take(
      create(FollowResponseSchema, {
        replica: "other",
        proxies: [{ scope: [`n${i}`], proxy: { node: `proxy-${i}` } }],
        gone: i > 0 ? [`proxy-${i - 1}`] : [],
        editions: [{ scope: [`n${i}`], etags: { [`n${i}/chat`]: "1" } }],
        rollouts: [{ state: { rollout: { metadata: { namespace: `n${i}`, name: "chat" } } } }],
      }),
    );
  expect(peer.sizes()).toEqual({ proxies: 1, editions: 101, rollouts: 10_000 });
  expect(peer.proxyViews(0)[0]?.etags?.get("n11999/chat")).toBe("1");
});
