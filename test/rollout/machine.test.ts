import { clone, create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  type RolloutSpec,
  type RolloutState,
  RolloutStateSchema,
  type Verdict,
  VerdictSchema,
} from "../../control/gen/weir/v1/rollout_pb.ts";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { noTenants, type TenantVerdicts } from "../../control/rollout/judge/tenants.ts";
import { begin, type Command, command } from "../../control/rollout/machine/commands.ts";
import { decide, type StepInputs } from "../../control/rollout/machine/machine.ts";
import { hasEnded } from "../../control/rollout/machine/phase.ts";
import { routeFor } from "../../control/rollout/plan/route-for-step.ts";
import { stageAt } from "../../control/rollout/plan/stages.ts";
import { rolloutOf, routeOf } from "./world.ts";

const route = routeOf();
const long = 1e9;
/** A tenant that is worse off, and more than may be pinned. */
const tenancies = ["none", "one", "many"] as const;
const outcomes = ["none", "pass", "fail", "inconclusive", "missing"] as const;

function stored(state: RolloutState, where: "there" | "gone" | "drifted"): RouteState | undefined {
  if (where === "gone") return undefined;
  const current = routeFor(state, route);
  const canary = current.spec?.variants[1];
  if (where === "drifted" && canary) canary.weight = 33;
  return create(RouteStateSchema, { route: current, etag: "1" });
}

/** The same edited so that its answers are measured no more. */
function unmeasured(stored: RouteState | undefined): RouteState | undefined {
  if (stored === undefined) return undefined;
  const edited = clone(RouteStateSchema, stored);
  delete edited.route?.spec?.tokens;
  return edited;
}

function tenantsOf({ pins }: RolloutState, tenancy: (typeof tenancies)[number]): TenantVerdicts {
  if (tenancy === "none") return noTenants;
  const tenant = `tenant-${pins.length}`;
  const worse = [create(VerdictSchema, { tenant, outcome: "fail", message: `${tenant} is slow` })];
  // One tenant may be pinned here.
  return {
    worse,
    suspects: worse,
    ...(pins.length >= 1 || tenancy === "many" ? { tooMany: "too many" } : {}),
  };
}

/** Everything that can be seen at one moment, in all combinations. */
function* sights(state: RolloutState): Generator<StepInputs & { outcome: string; where: string }> {
  for (const where of ["there", "gone", "drifted"] as const) {
    const seenRoute = stored(state, where);
    for (const status of ["proven", "pending", "refused", "overdue"] as const)
      for (const provenMs of [undefined, 0, long])
        for (const outcome of outcomes)
          for (const forMs of [0, long])
            for (const gate of ["open", "closed", "rollback"])
              for (const sinceGrowthMs of [0, long]) {
                const verdicts: Verdict[] =
                  outcome === "none"
                    ? []
                    : [
                        create(VerdictSchema, {
                          check: "first-token p95",
                          outcome,
                          message: outcome,
                        }),
                      ];
                // Of gates and growth nothing depends on tenants: one of each is enough.
                const usual = gate === "open" && sinceGrowthMs === long;
                for (const tenancy of usual ? tenancies : tenancies.slice(0, 1))
                  yield {
                    outcome,
                    where,
                    route: seenRoute,
                    proof: { status, message: status, applied: 1, wanted: 1 },
                    provenMs,
                    stepMs: provenMs ?? 0,
                    sinceGrowthMs,
                    verdicts,
                    tenants: tenantsOf(state, tenancy),
                    inconclusiveMs: outcome === "inconclusive" ? forMs : 0,
                    blindMs: outcome === "missing" ? forMs : 0,
                    gates: [
                      {
                        name: "gate",
                        open: gate === "open",
                        message: gate,
                        ...(gate === "rollback" ? { rollback: true } : {}),
                      },
                    ],
                  };
              }
  }
}

const commands: Command[] = [
  { kind: "pause" },
  { kind: "resume" },
  { kind: "promote", full: false },
  { kind: "promote", full: true },
  { kind: "rollback" },
];

const idOf = ({ phase, step, weight, promoted, pins }: RolloutState) =>
  `${phase} ${step} ${weight} ${promoted} ${pins.length}`;

interface Move {
  from: RolloutState;
  to: RolloutState;
  by: (StepInputs & { outcome: string; where: string }) | Command;
}

/** All states that any order of events leads to, and all moves between them. */
function explore(start: RolloutState): { states: RolloutState[]; moves: Move[] } {
  const seen = new Map([[idOf(start), start]]);
  const moves: Move[] = [];
  const open = [start];
  for (let from = open.pop(); from; from = open.pop()) {
    const found: Move[] = [];
    for (const inputs of sights(from)) {
      const decision = decide(from, inputs);
      if (decision.kind === "write") found.push({ from, to: decision.state, by: inputs });
    }
    for (const asked of commands) {
      const answer = command(from, asked, "");
      if (!("refusal" in answer)) found.push({ from, to: answer.state, by: asked });
    }
    moves.push(...found);
    for (const { to } of found) {
      if (seen.has(idOf(to))) continue;
      seen.set(idOf(to), to);
      open.push(to);
    }
  }
  return { states: [...seen.values()], moves };
}

const rollouts: [string, object][] = [
  ["weights", { steps: [{ weight: 5 }, { weight: 50 }, { weight: 100 }] }],
  [
    "every kind of step",
    {
      warmup: { weight: 1, duration: "60s" },
      steps: [
        { headerOnly: { duration: "60s" } },
        { shadow: { percent: 10 } },
        { weight: 10 },
        { pause: {} },
        { pause: { duration: "60s" } },
        { weight: 100 },
      ],
      maxPercentPerMinute: 10,
    },
  ],
  [
    "other choices at the deadline",
    { steps: [{ weight: 10 }, { weight: 100 }], proof: { onDeadline: "rollback" } },
  ],
];

describe.each(rollouts)("over every order of events, a rollout of %s", (_name, spec) => {
  const rollout = rolloutOf(spec);
  const plan = rollout.spec as RolloutSpec;
  const { states, moves } = explore(begin(rollout, route, new Date(0)));
  const isSight = (by: Move["by"]): by is StepInputs & { outcome: string; where: string } =>
    "proof" in by;
  const bySight = moves.flatMap(({ from, to, by }) => (isSight(by) ? [{ from, to, by }] : []));

  it("gives the canary more only with proof, time, evidence and open gates, or a promotion instead of the middle two", () => {
    const wrong = bySight.filter(({ from, to, by }) => {
      if (to.weight <= from.weight) return false;
      const stage = stageAt(plan, from.step);
      const promoted = from.promoted !== undefined && from.promoted >= from.step;
      const earned =
        promoted ||
        (stage?.holdMs !== undefined &&
          by.provenMs === long &&
          (!stage.needsPass || by.outcome === "pass"));
      return !(
        earned &&
        by.where === "there" &&
        by.proof.status === "proven" &&
        by.provenMs !== undefined &&
        by.outcome !== "fail" &&
        by.gates.every(({ open }) => open) &&
        from.phase === "running"
      );
    });
    expect(wrong).toEqual([]);
  });

  it("A11: never promotes on missing data by itself", () => {
    const wrong = bySight.filter(
      ({ from, to, by }) =>
        by.outcome === "missing" &&
        !(from.promoted !== undefined && from.promoted >= from.step) &&
        (to.weight > from.weight || to.phase === "succeeded"),
    );
    expect(wrong).toEqual([]);
  });

  it("takes one step at a time, in order, and no step twice", () => {
    const wrong = moves.filter(
      ({ from, to }) => to.step !== from.step && to.step !== from.step + 1,
    );
    expect(wrong).toEqual([]);
    const entered = moves.filter(({ to }) => to.phase === "running").map(({ to }) => to.step);
    expect(Math.max(...entered)).toBe(plan.steps.length);
  });

  it("goes back at once when a check fails or a proxy refuses, running or paused", () => {
    const wrong: unknown[] = [];
    for (const from of states.filter(({ phase }) => phase === "running" || phase === "paused"))
      for (const inputs of sights(from)) {
        if (inputs.where === "gone") continue;
        if (inputs.outcome !== "fail" && inputs.proof.status !== "refused") continue;
        const decision = decide(from, inputs);
        if (decision.kind === "write" && decision.state.phase === "rolling-back") continue;
        // Where a check fails because of a tenant, that tenant goes back at once.
        const helps = inputs.tenants.worse.length > 0 && inputs.tenants.tooMany === undefined;
        const pinned = decision.kind === "write" && decision.action === "rollout-pin";
        if (pinned && helps && inputs.where === "there" && inputs.proof.status !== "refused")
          continue;
        wrong.push({ from, inputs, decision });
      }
    expect(wrong).toEqual([]);
  });

  it("stands still where its route measures nothing any more, unless someone promoted what it is on", () => {
    const showing = (decision: ReturnType<typeof decide>) =>
      decision.kind === "write" ? `${decision.action} ${idOf(decision.state)}` : decision.next;
    const wrong: unknown[] = [];
    for (const from of states.filter(({ phase }) => phase === "running"))
      for (const inputs of sights(from)) {
        if (inputs.where !== "there") continue;
        const measured = showing(decide(from, inputs));
        const found = showing(decide(from, { ...inputs, route: unmeasured(inputs.route) }));
        const goesOn =
          (from.promoted !== undefined && from.promoted >= from.step) ||
          /^rollout-(rollback|pin) /.test(measured);
        if (goesOn ? found !== measured : !found.startsWith("rollout-pause paused "))
          wrong.push({ from, inputs, measured, found });
      }
    expect(wrong).toEqual([]);
  });

  it("pins a tenant that is worse off and changes nothing else, or goes back where that is not enough", () => {
    const quiet = bySight.filter(
      ({ by }) => by.tenants.worse.length > 0 && by.where === "there" && by.outcome === "pass",
    );
    const pinned = quiet.filter(({ from, to }) => to.pins.length > from.pins.length);
    expect(pinned.length).toBeGreaterThan(0);
    const wrong = pinned.filter(
      ({ from, to, by }) =>
        by.tenants.tooMany !== undefined ||
        to.pins.length !== from.pins.length + 1 ||
        to.pins.at(-1)?.reason !== by.tenants.worse[0]?.message ||
        [to.phase, to.step, to.weight].join() !== [from.phase, from.step, from.weight].join(),
    );
    expect(wrong).toEqual([]);
    const tooMany = quiet.filter(({ by, from }) => by.tenants.tooMany && from.weight > 0);
    expect(
      tooMany.filter(
        ({ from, to }) => from.phase !== "rolling-back" && to.phase !== "rolling-back",
      ),
    ).toEqual([]);
  });

  it("keeps every pin until the way back, and takes all of them off there", () => {
    const pinsAt = (state: RolloutState) =>
      Object.keys(routeFor(state, route).spec?.canary?.pin ?? {}).length;
    expect(moves.filter(({ from, to }) => to.pins.length < from.pins.length)).toEqual([]);
    const held = (phase: string) => states.filter((each) => each.phase === phase).map(pinsAt);
    expect(new Set(held("rolling-back"))).toEqual(new Set([0]));
    // With and without one, to the end.
    expect(new Set(held("running"))).toEqual(new Set([0, 1]));
    expect(new Set(held("succeeded"))).toEqual(new Set([0, 1]));
  });

  it("A9: stays on the way back: no event and no one gives the canary anything any more", () => {
    const wrong = moves.filter(
      ({ from, to }) =>
        from.phase === "rolling-back" &&
        (!["rolling-back", "rolled-back", "abandoned"].includes(to.phase) || to.weight > 0),
    );
    expect(wrong).toEqual([]);
  });

  it("can be taken back from wherever it has not ended", () => {
    for (const from of states) {
      const answer = command(from, { kind: "rollback" }, "");
      if (hasEnded(from)) expect(answer).toHaveProperty("refusal");
      else expect("state" in answer && answer.state.phase).toBe("rolling-back");
    }
  });

  it("does nothing more once it has ended", () => {
    expect(moves.filter(({ from }) => hasEnded(from))).toEqual([]);
  });

  it("can end in every way that there is", () => {
    expect([...new Set(states.map(({ phase }) => phase))].sort()).toEqual([
      "abandoned",
      "paused",
      "rolled-back",
      "rolling-back",
      "running",
      "succeeded",
    ]);
  });

  it("changes nothing that it was given", () => {
    const [first] = states as [RolloutState];
    const before = create(RolloutStateSchema, structuredClone(first));
    for (const inputs of sights(first)) decide(first, inputs);
    expect(first).toEqual(before);
  });
});
