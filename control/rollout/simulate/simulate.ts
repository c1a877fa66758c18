import { create } from "@bufbuild/protobuf";
import type { ReportRequest } from "../../gen/weir/v1/report_pb.ts";
import type { Rollout, RolloutProgress, RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { RouteStateSchema } from "../../gen/weir/v1/service_pb.ts";
import { createLedger } from "../../report/index.ts";
import { draftRoute, routeName } from "../../route/index.ts";
import { openStore } from "../../store/index.ts";
import { begin } from "../machine/commands.ts";
import { hasEnded } from "../machine/phase.ts";
import { createEngine } from "../run/engine.ts";
import { writeRollout } from "../run/write.ts";

/** Reports at one moment of a replay. */
export interface ReplayFrame {
  /** Milliseconds since the replay began; only grows. */
  atMs: number;
  reports: readonly ReportRequest[];
}

/** What a rollout would have done. */
export interface Simulated {
  state: RolloutState;
  /** Each change, with the moment it came at. */
  changes: { atMs: number; phase: string; step: number; weight: number; reason: string }[];
  last: RolloutProgress;
}

/** Where nothing was reported for longer than ten of these, it is looked at anyway: silence counts too. */
const lookMs = 1000;

/**
 * Plays reports through the engine that walks real rollouts, as fast as it can.
 * The proxies count as proven at once.
 * @param frames asked for one by one with the canary's weight of that moment and the tenants
 *   that it has pinned, so that made-up traffic can follow; a recording ignores both
 */
export async function simulate(
  rollout: Rollout,
  route: InferenceRoute,
  frames: (canaryPercent: number, pins: readonly string[]) => ReplayFrame | undefined,
): Promise<Simulated> {
  let atMs = 0;
  let heardMs = 0;
  let seen = "";
  const name = routeName(route);
  const store = openStore("memory");
  const now = () => new Date(atMs);
  const ledger = createLedger(() => atMs);
  const changes: Simulated["changes"] = [];
  const engine = createEngine({
    store,
    fleet: {
      applied: () => ({ applied: 1, wanted: 1, behind: [] }),
      observation: ledger.observation,
      tenants: ledger.tenants,
      silentMs: () => atMs - heardMs,
    },
    monotonicMs: () => atMs,
    now,
    log: () => {},
  });
  const author = { principal: "simulation", reason: "" };
  const draft = draftRoute(route, undefined);
  const stored = await store.put(name, draft, "0", "apply", author);
  let state = await writeRollout(store, name, {
    before: undefined,
    after: begin(rollout, route, now()),
    route: create(RouteStateSchema, stored),
    action: "rollout-start",
    author,
  });
  note(state);

  function note({ etag, phase, step, weight, reason }: RolloutState): void {
    if (etag !== seen) changes.push({ atMs, phase, step, weight, reason });
    seen = etag;
  }
  const next = () =>
    frames(
      state.weight,
      state.pins.map(({ tenant }) => tenant),
    );
  for (let frame = next(); frame; frame = next()) {
    while (atMs + 10 * lookMs < frame.atMs && !hasEnded(state)) await look(atMs + lookMs);
    if (hasEnded(state)) break;
    atMs = frame.atMs;
    for (const report of frame.reports) ledger.add(report);
    if (frame.reports.length > 0) heardMs = atMs;
    await look(atMs);
  }
  return { state, changes, last: engine.progress(name, state) };

  async function look(ms: number): Promise<void> {
    atMs = ms;
    await engine.tick();
    state = (await store.getRollout(name)) ?? state;
    note(state);
  }
}
