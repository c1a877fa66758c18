import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProblemsSchema } from "../../control/gen/weir/v1/service_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { refusal, startQuietServer, urlOf } from "../api/control-server.ts";
import { weir } from "../e2e/weir-up.ts";
import { rolloutOf, routeOf } from "./world.ts";

const steps = [{ weight: 20 }, { weight: 100 }];

let server: ControlServer;
let rollouts: ApiClients["rollouts"];
let routes: ApiClients["routes"];
let audit: ApiClients["audit"];
beforeEach(async () => {
  server = await startQuietServer();
  ({ rollouts, routes, audit } = clientsOf(urlOf(server)));
  await routes.applyRoute({ route: routeOf() });
});
afterEach(() => server.close());

const weights = async () =>
  (await routes.getRoute({ name: "chat" })).state?.route?.spec?.variants.map((each) => each.weight);
const start = (spec: object = { steps }) =>
  rollouts.startRollout({ rollout: rolloutOf(spec), reason: "v2" });

describe("a rollout over the API", () => {
  it("starts on its first step, with its weights, in one entry of the audit", async () => {
    const { progress } = await start();
    expect(progress?.state).toMatchObject({ phase: "running", step: 0, weight: 20 });
    expect(await weights()).toEqual([80, 20]);
    const { entries } = await audit.listAudit({ name: "chat" });
    expect(entries[0]).toMatchObject({
      action: "rollout-start",
      principal: "anonymous",
      reason: "v2",
      rolloutAfter: { phase: "running" },
    });
    expect(entries[0]?.after?.route?.spec?.variants[1]?.weight).toBe(20);
  });

  it("is the only one of its route until it ended", async () => {
    await start();
    expect(await refusal(start())).toMatchObject({ code: Code.FailedPrecondition });
    const both = await Promise.allSettled([
      rollouts.rollbackRollout({ name: "chat" }),
      rollouts.rollbackRollout({ name: "chat" }),
    ]);
    expect(both.map(({ status }) => status)).toContain("fulfilled");
  });

  it("A9: gives everything back on a rollback, however many others write at the same time", async () => {
    await start();
    await Promise.allSettled([
      rollouts.promoteRollout({ name: "chat", full: true }),
      rollouts.pauseRollout({ name: "chat" }),
      rollouts.rollbackRollout({ name: "chat", reason: "slow" }),
      rollouts.resumeRollout({ name: "chat" }),
      routes.shiftWeights({ name: "chat", weights: { canary: 50 } }),
      rollouts.promoteRollout({ name: "chat" }),
    ]);
    await expect.poll(weights, { timeout: 20_000 }).toEqual([100, 0]);
    const { progress } = await rollouts.getRollout({ name: "chat" });
    expect(progress?.state).toMatchObject({ phase: "rolling-back", reason: "slow" });
    expect(await refusal(rollouts.promoteRollout({ name: "chat" }))).toMatchObject({
      code: Code.FailedPrecondition,
    });
  });

  it("A8: lets one of two who saw the same state win, and tells the other the current one", async () => {
    const etag = (await start()).progress?.state?.etag ?? "";
    const results = await Promise.allSettled([
      rollouts.pauseRollout({ name: "chat", etag }),
      rollouts.promoteRollout({ name: "chat", etag }),
    ]);
    const lost = results.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(lost).toHaveLength(1);
    expect(lost[0]).toMatchObject({ code: Code.Aborted });
    const { progress } = await rollouts.getRollout({ name: "chat" });
    expect(lost[0].rawMessage).toContain(`"${progress?.state?.etag}"`);
  });

  it("pauses when someone else moves the weights, and says who has what", async () => {
    await start();
    await routes.shiftWeights({ name: "chat", weights: { canary: 35 } });
    const phase = async () => (await rollouts.getRollout({ name: "chat" })).progress?.state;
    await expect.poll(phase, { timeout: 20_000 }).toMatchObject({ phase: "paused" });
    expect((await phase())?.reason).toBe(
      "someone changed the weight of canary to 35 %; the rollout had set 20 %",
    );
    await rollouts.resumeRollout({ name: "chat" });
    expect(await weights()).toEqual([80, 20]);
  });

  it("pauses when its route is edited so that nothing is measured, and says what to set", async () => {
    await start();
    const measured = async (measure: boolean) => {
      const { route } = (await routes.getRoute({ name: "chat" })).state ?? {};
      if (route?.spec?.tokens) route.spec.tokens.measure = measure;
      await routes.applyRoute({ ...(route ? { route } : {}) });
    };
    const state = async () => (await rollouts.getRollout({ name: "chat" })).progress?.state;
    await measured(false);
    await expect.poll(state, { timeout: 20_000 }).toMatchObject({ phase: "paused", step: 0 });
    expect((await state())?.reason).toContain(
      "set spec.tokens.measure of the route to true, then resume",
    );
    await measured(true);
    await rollouts.resumeRollout({ name: "chat" });
    const waiting = async () => (await rollouts.getRollout({ name: "chat" })).progress;
    await expect.poll(waiting, { timeout: 20_000 }).toMatchObject({
      state: { phase: "running" },
      waitingFor: expect.arrayContaining(["no proxy is connected"]),
    });
  });

  it("A9: ends by name when its route is deleted under it", async () => {
    await start();
    await routes.deleteRoute({ name: "chat" });
    const phase = async () => (await rollouts.getRollout({ name: "chat" })).progress?.state;
    await expect
      .poll(phase, { timeout: 20_000 })
      .toMatchObject({ phase: "abandoned", reason: "the route was deleted" });
  });

  it("waits for a proxy before anything counts, and says so", async () => {
    await start();
    const waiting = async () => (await rollouts.getRollout({ name: "chat" })).progress?.waitingFor;
    await expect.poll(waiting, { timeout: 20_000 }).toContain("no proxy is connected");
  });

  it("sends a watch each state, and what is waited for", async () => {
    await start();
    const stop = new AbortController();
    const phases: string[] = [];
    for await (const { progress } of rollouts.watchRollout(
      { name: "chat" },
      { signal: stop.signal },
    )) {
      const phase = progress?.state?.phase ?? "";
      if (phases.at(-1) !== phase) phases.push(phase);
      if (phase === "running") await rollouts.pauseRollout({ name: "chat" });
      if (phase === "paused") await rollouts.rollbackRollout({ name: "chat" });
      if (phase === "rolling-back") break;
    }
    stop.abort();
    expect(phases).toEqual(["running", "paused", "rolling-back"]);
  });
});

describe("A10: a rollout that cannot work", () => {
  it.each([
    ["a weight above 100", { steps: [{ weight: 101 }] }, "spec.steps[0].weight", "at most 100"],
    ["a weight below 0", { steps: [{ weight: -1 }] }, "spec.steps[0].weight", "at least 0"],
    ["no steps", { steps: [] }, "spec.steps", "steps is required"],
    [
      "a step that goes back",
      { steps: [{ weight: 50 }, { weight: 20 }] },
      "spec.steps[1].weight",
      "must not decrease",
    ],
    [
      "an unknown variant",
      { canary: "next", steps },
      "spec.canary",
      '"next" is not one of stable, canary',
    ],
    ["itself to compare with", { stable: "canary", steps }, "spec.stable", "different variants"],
    [
      "queries without a Prometheus",
      { steps, analysis: { queries: [{ name: "x", query: "up", min: 1 }] } },
      "spec.analysis.queries[0]",
      "--prometheus",
    ],
    ["an unknown gate", { steps, gates: [{ name: "sox" }] }, "spec.gates[0].name", '"sox"'],
    [
      "a percentile of a rate",
      { steps, analysis: { checks: [{ metric: "success-rate", percentile: 99 }] } },
      "spec.analysis.checks[0].percentile",
      "only allowed with",
    ],
    [
      "a timed shadow step without evidence",
      { steps: [{ shadow: { percent: 5, duration: "60s" } }, ...steps] },
      "spec.steps[0].shadow.duration",
      "dropped before",
    ],
    [
      "an unknown tier",
      { steps: [{ weight: 50, tiers: ["iron"] }] },
      "spec.steps[0].tiers",
      '"iron" is not one of',
    ],
    [
      "a tier that leaves",
      {
        steps: [
          { weight: 50, tiers: ["gold", "silver"] },
          { weight: 60, tiers: ["silver"] },
        ],
      },
      "spec.steps[1].tiers",
      "must include gold",
    ],
    [
      "tiers after all users",
      { steps: [{ weight: 50 }, { weight: 60, tiers: ["silver"] }] },
      "spec.steps[1].tiers",
      "tiers can only be added",
    ],
    [
      "tiers of a pause",
      { steps: [...steps, { pause: {}, tiers: ["gold"] }] },
      "tiers",
      "in a weight step",
    ],
    ["copies only", { steps: [{ shadow: { percent: 5 } }] }, "spec.steps", "at least one weight"],
  ])("is refused: %s", async (_name, spec, path, words) => {
    const error = await refusal(start(spec));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain(path);
    expect(error.rawMessage).toContain(words);
    expect(await weights()).toEqual([100, 0]);
  });

  it("is refused: one of a route whose answers nobody measures", async () => {
    const route = routeOf();
    delete route.spec?.tokens;
    await routes.applyRoute({ route });
    const error = await refusal(start());
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(ProblemsSchema)[0]?.problems).toMatchObject([
      { code: "not-measured", path: "spec.analysis" },
    ]);
    expect(error.rawMessage).toContain("set spec.tokens.measure of the route to true");
    const { code, stderr } = await weir([
      ...["rollout", "start", "-f", "examples/rollout/rollout.yaml"],
      ...["--server", `127.0.0.1:${server.listen.port}`],
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("spec.analysis: the proxies do not measure this route's responses");
    // What counts tokens for a limit measures the answers too.
    const [tier] = Object.values(route.spec?.rateLimit?.tiers ?? {});
    if (tier) tier.tokensPerMinute = 60_000n;
    await routes.applyRoute({ route });
    expect((await start()).progress?.state).toMatchObject({ phase: "running" });
  });

  it("is not found: a route without one, a route that is not there", async () => {
    expect(await refusal(rollouts.getRollout({ name: "chat" }))).toMatchObject({
      code: Code.NotFound,
    });
    expect(await refusal(rollouts.rollbackRollout({ name: "nope" }))).toMatchObject({
      code: Code.NotFound,
    });
  });
});
