import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RolloutStateSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import {
  type AuditEntry,
  AuditEntrySchema,
  RouteStateSchema,
} from "../../control/gen/weir/v1/service_pb.ts";
import { collectViolations } from "./invariants/violation.ts";
import { createWrites, type Writes } from "./invariants/writes.ts";

// As in invariants.test.ts: histories that are bad, beside those like them that are not.

const collected = () => {
  const { violated, all } = collectViolations();
  return { violated, told: () => all().map(({ who, what }) => `${who}: ${what}`) };
};

describe("writes", () => {
  const name = "quiet-a/chat";
  /** A state of the route: the number is its etag, the buckets tell it from others. */
  const state = (etag: number, count = etag) =>
    create(RouteStateSchema, { etag: String(etag), buckets: [{ variant: "canary", count }] });

  function history(refused = false) {
    const { violated, told } = collected();
    const writes = createWrites({ refused: () => refused }, violated);
    let sequence = 0n;
    return {
      writes,
      told,
      entry(of: Partial<AuditEntry>) {
        const principal = "people";
        writes.entry(
          create(AuditEntrySchema, {
            sequence: ++sequence,
            name,
            action: "shift",
            principal,
            ...of,
          } as never),
        );
      },
    };
  }
  /** One write that was sent, acknowledged and is there. */
  function good() {
    const all = history();
    all.writes.asked("shift 1", name);
    all.writes.acknowledged("shift 1", "1");
    all.entry({ reason: "shift 1", after: state(1) });
    return all;
  }
  const stored = (writes: Writes, etag = "1") => writes.end(new Map([[name, etag]]));

  it("has nothing to say about a good history", () => {
    const { writes, told } = good();
    stored(writes);
    expect(told()).toEqual([]);
  });

  it("tells of an acknowledged write that is not in the audit", () => {
    const { writes, told } = good();
    writes.asked("shift 2", name);
    writes.acknowledged("shift 2", "2");
    stored(writes);
    expect(told()).toEqual([
      "shift 2: of quiet-a/chat was acknowledged (2) and is not in the audit",
    ]);
  });

  it("takes a write without an answer either way, and none that was refused", () => {
    const { writes, told, entry } = good();
    writes.asked("lost answer", name);
    writes.unknown("lost answer");
    writes.asked("refused", name);
    writes.refused("refused");
    entry({ reason: "lost answer", before: state(1), after: state(2) });
    expect(told()).toEqual([]);
    entry({ reason: "refused", before: state(2), after: state(3) });
    stored(writes, "3");
    expect(told()).toEqual(["refused: was refused, and written all the same"]);
  });

  it.each<[string, (all: ReturnType<typeof good>) => void, string]>([
    [
      "doubled",
      ({ entry }) => entry({ reason: "shift 1", before: state(1), after: state(2) }),
      "2 times",
    ],
    [
      "that no one sent",
      ({ entry }) => entry({ reason: "?", before: state(1), after: state(2) }),
      "never sent",
    ],
    [
      "over one that it did not know",
      ({ entry }) => entry({ reason: "shift 1", before: state(0), after: state(2) }),
      "follows the etag 0",
    ],
    [
      "after a gap",
      ({ entry }) => entry({ reason: "shift 1", sequence: 9n, before: state(1), after: state(2) }),
      "the row has a gap",
    ],
    ["stored otherwise than written last", ({ writes }) => stored(writes, "7"), "is stored as 7"],
    [
      "under another etag than acknowledged",
      ({ writes, entry }) => {
        writes.asked("shift 2", name);
        writes.acknowledged("shift 2", "5");
        entry({ reason: "shift 2", before: state(1), after: state(2) });
      },
      "was acknowledged as 5",
    ],
  ])("tells of a write %s", (_, bad, told) => {
    const all = good();
    bad(all);
    expect(all.told().join("\n")).toContain(told);
  });

  const takeBack = { principal: "weir", action: "take-back", reason: "n refused ECDS" };
  it("takes one take-back for a write where a proxy refused, and tells of each without a cause", () => {
    for (const refused of [true, false]) {
      const { writes, told, entry } = history(refused);
      writes.asked("shift 1", name);
      entry({ reason: "shift 1", after: state(1) });
      entry({ ...takeBack, before: state(1), after: state(2) });
      expect(told()).toHaveLength(refused ? 0 : 1);
      entry({ ...takeBack, before: state(2), after: state(3) });
      expect(told().join()).toContain("2 of 1 writes");
    }
  });

  it("tells of what Weir writes though it changes nothing, and of what nobody knows", () => {
    const { writes, told, entry } = history(true);
    writes.asked("shift 1", name);
    entry({ reason: "shift 1", after: state(1) });
    entry({ ...takeBack, before: state(1, 1), after: state(2, 1) });
    entry({ principal: "weir", action: "apply", before: state(2), after: state(3) });
    expect(told()[0]).toContain("changes nothing");
    expect(told()[1]).toContain("which nobody asked for");
  });

  it("takes the steps of a rollout that someone started until it has ended, and no other", () => {
    const { writes, told, entry } = history();
    const rollout = (phase: string, step: number) => create(RolloutStateSchema, { phase, step });
    const step = { principal: "rollout", action: "rollout-step" };
    writes.asked("walk", name);
    entry({ reason: "walk", action: "rollout-start", rolloutAfter: rollout("running", 0) });
    entry({ ...step, rolloutBefore: rollout("running", 0), rolloutAfter: rollout("running", 1) });
    entry({ ...step, rolloutBefore: rollout("running", 1), rolloutAfter: rollout("succeeded", 1) });
    expect(told()).toEqual([]);
    expect(writes.steps()).toBe(2);
    entry({ ...step, rolloutBefore: rollout("succeeded", 1), rolloutAfter: rollout("running", 2) });
    expect(told().join()).toContain("no one started a rollout");
  });
});
