import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { VerdictSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { createLedger, totalOf } from "../../control/report/index.ts";
import { loneVoice, weigh } from "../../control/rollout/judge/voices.ts";

const route = "inference/chat";
const startMs = 1_700_000_000_000;

function world() {
  let nowMs = startMs;
  const ledger = createLedger(() => nowMs);
  return {
    ledger,
    later(ms: number) {
      nowMs += ms;
    },
    say(node: string, value: bigint, sinceMs = startMs, variant = "canary") {
      const epoch = (BigInt(sinceMs) * 1_000_000n).toString(16).padStart(16, "0");
      const counter = { name: "responses", route, label: "2xx", variant, value };
      return ledger.add(create(ReportRequestSchema, { node, epoch, counters: [counter] }));
    },
    total: () => totalOf(ledger.observation(route), "responses"),
  };
}

it("a report that is played back adds nothing, be it of a process that has ended", () => {
  const { say, later, total } = world();
  say("edge", 100n);
  later(1_000);
  say("edge", 150n);
  expect([say("edge", 100n), total()]).toEqual([undefined, 150]);
  later(1_000);
  say("edge", 10n, startMs + 1_500);
  expect(total()).toBe(160);
  expect(say("edge", 150n)).toBe("it comes from a process that has ended (a replayed report)");
  say("edge", 10n, startMs + 1_500);
  expect(total()).toBe(160);
});

it("counts that no proxy can have come to are not believed, and what follows is counted from there", () => {
  const { say, later, total } = world();
  say("edge", 100n);
  later(1_000);
  expect(say("edge", 10n ** 15n)).toBe("1 of its values are larger than a proxy can count");
  expect(total()).toBe(100);
  later(1_000);
  say("edge", 10n ** 15n + 7n);
  expect(total()).toBe(107);
  // Neither does a process say more of itself than its time allows, whenever it says it began.
  expect(say("other", 10n ** 12n, 0)).toBeUndefined();
  expect(total()).toBe(107);
  later(60_000);
  expect(say("other", 2n * 10n ** 12n, 0)).toMatch(/larger than a proxy can count/);
  expect(total()).toBe(107);
});

it("a check that hangs on the word of one proxy of several says so, and does not pass", () => {
  const { say, ledger, later } = world();
  say("one", 100n);
  say("two", 100n);
  const before = ledger.voices(route);
  const lone = (wanted = 2, maxProxyPercent?: number) =>
    loneVoice(
      maxProxyPercent === undefined ? undefined : ({ maxProxyPercent } as never),
      "canary",
      before,
      ledger.voices(route),
      wanted,
    );
  later(1_000);
  // The stable variant's answers, and those before the evidence began, do not make it broader.
  say("two", 5_000n, startMs, "stable");
  say("one", 900n);
  expect(lone()).toEqual({ node: "one", percent: 100, wanted: 2 });
  const verdict = (outcome: string) => create(VerdictSchema, { outcome, message: outcome });
  const verdicts = ["pass", "fail", "missing"].map(verdict);
  weigh(verdicts, lone());
  const suffix = "; 100 % of the canary's responses were reported by one alone, one of 2 proxies";
  expect(verdicts.map(({ outcome, message }) => [outcome, message])).toEqual([
    ["inconclusive", `pass${suffix}`],
    ["fail", `fail${suffix}`],
    ["missing", "missing"],
  ]);
  // A fleet of one proxy has no other word, and of a fleet that stands by the rollout may say so.
  expect(lone(1)).toBeUndefined();
  expect(lone(2, 100)).toBeUndefined();
  // More than nine in ten: 801 of 890 answers, then 801 of 889.
  later(1_000);
  say("one", 901n);
  say("two", 189n);
  expect(lone()).toBeUndefined();
  say("one", 903n);
  expect(lone()).toMatchObject({ node: "one", wanted: 2 });
  later(1_000);
  say("two", 300n);
  expect(lone()).toBeUndefined();
});
