import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { showProgress } from "../../control/cli/commands/rollout-view.ts";
import {
  PinnedTenantSchema,
  RolloutProgressSchema,
  VerdictSchema,
} from "../../control/gen/weir/v1/rollout_pb.ts";
import { begin } from "../../control/rollout/machine/commands.ts";
import { rolloutOf, routeOf } from "../rollout/world.ts";

const state = begin(rolloutOf({ steps: [{ weight: 20 }, { weight: 50 }] }), routeOf(), new Date(0));
state.etag = "7";
state.pins = [create(PinnedTenantSchema, { tenant: "acme", reason: "tenant acme: 5xx", step: 0 })];
const progress = create(RolloutProgressSchema, {
  state,
  proven: 3,
  wanted: 4,
  canaryAnswers: 58,
  stableAnswers: 1203,
  waitingFor: ["applied on 3 of 4: edge-4 waiting for ECDS", "12 s more"],
  next: "step 2 of 2: 50 % for canary",
  verdicts: [
    create(VerdictSchema, { outcome: "pass", message: "success-rate pass: ...", inFavour: 31 }),
  ],
});

it("shows where a rollout is, what was measured, whom it pinned, what it waits for and what comes next", () => {
  expect(showProgress(progress).split("\n")).toEqual([
    "inference/chat: running, step 1 of 2: 20 % for canary (etag 7)",
    "  step 1 of 2: 20 % for canary",
    "  applied on 3 of 4; responses: 58 from the canary, 1203 from stable",
    "  pinned to stable: acme (tenant acme: 5xx)",
    "  pass         success-rate pass: ... [for 31, against 0.0]",
    "  waiting for applied on 3 of 4: edge-4 waiting for ECDS",
    "  waiting for 12 s more",
    "  next: step 2 of 2: 50 % for canary",
  ]);
});

it("says of a rollout that went back whom it had pinned", () => {
  const back = create(RolloutProgressSchema, { state: { ...state, phase: "rolled-back" } });
  expect(showProgress(back)).toContain("  was pinned to stable: acme (tenant acme: 5xx)");
});
