import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReportRequestSchema } from "../../control/gen/weir/v1/report_pb.ts";
import { createLedger, recorded } from "../../control/report/index.ts";
import { readReplay } from "../../control/rollout/simulate/replay.ts";
import { simulate } from "../../control/rollout/simulate/simulate.ts";
import { startQuietServer } from "../api/control-server.ts";
import { weir } from "../e2e/weir-up.ts";
import { rolloutOf, routeOf, traffic } from "./world.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-replay-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A recording of four minutes in which the canary had a fifth of the users. */
function recording(fault: string): string {
  const frames = traffic(31, { perSecond: 60, seconds: 240, fault });
  const lines: string[] = [];
  for (let frame = frames(20); frame; frame = frames(20))
    for (const report of frame.reports)
      lines.push(
        JSON.stringify({
          at: 1_700_000_000_000 + frame.atMs,
          report: toJson(ReportRequestSchema, report),
        }),
      );
  return lines.join("\n");
}

describe("recorded reports", () => {
  const rollout = rolloutOf({ steps: [{ weight: 20 }] });
  const played = async (fault: string) => {
    const frames = readReplay(recording(fault));
    return (await simulate(rollout, routeOf(), () => frames.shift())).state;
  };

  it("go through the engine that walks real rollouts", async () => {
    expect(await played("none")).toMatchObject({ phase: "succeeded" });
    expect(await played("errors")).toMatchObject({
      phase: "rolled-back",
      reason: expect.stringMatching(
        /^success-rate fail: canary [89]\d\.\d %, stable (99\.\d+|100) %/,
      ),
    });
  });

  it("are what a control service records", async () => {
    const file = join(directory, "recorded.jsonl");
    const ledger = recorded(createLedger(), file);
    const frames = traffic(32, { perSecond: 60, seconds: 3 });
    const reports = [frames(20), frames(20)].flatMap((frame) => frame?.reports ?? []);
    for (const report of reports) ledger.add(report);
    const read = () => readReplay(readFileSync(file, "utf8")).flatMap(({ reports }) => reports);
    await expect.poll(() => read().length, { timeout: 10_000 }).toBe(2);
    expect(read()).toEqual(reports);
  });

  it("are refused at the start where they cannot be written", async () => {
    const record = join(directory, "nowhere", "recorded.jsonl");
    await expect(startQuietServer({ record })).rejects.toThrow(
      `cannot record reports in ${record} (--record): ENOENT`,
    );
    expect(() => recorded(createLedger(), directory)).toThrow(
      `cannot record reports in ${directory} (--record): EISDIR`,
    );
  });

  it.each([
    ["", "the recording has no reports"],
    ["{}\n", "line 1: at must be milliseconds or a time, not undefined"],
    ["[]\n", "line 1 must be an object with at and report"],
    ['{"at": [1]}', "line 1: at must be milliseconds or a time, not [1]"],
    ['{"at": 1, "report": {}}\nnonsense', "line 2 is not JSON"],
    ['{"at": 1, "report": {"nodes": 1}}', "line 1: cannot read report"],
  ])("that are none are refused: %j", (text, words) => {
    expect(() => readReplay(text)).toThrow(words);
  });

  it("are played from the command line, which says what would have happened", {
    timeout: 120_000,
  }, async () => {
    const file = join(directory, "bad.jsonl");
    writeFileSync(file, recording("errors"));
    const { code, stdout, stderr } = await weir([
      ...["rollout", "simulate", "-f", "examples/rollout/rollout.yaml"],
      ...["--route", "examples/rollout/route.yaml", "--replay", file],
    ]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^00:00:\d\d {2}rolling-back +0 % {2}success-rate fail: canary [89]/m);
    expect(stderr).toMatch(/rolled-back: success-rate fail/);
  });

  it("can be made up, with a fault for one tenant alone", { timeout: 120_000 }, async () => {
    const { code, stdout } = await weir([
      ...["rollout", "simulate", "-f", "examples/rollout/rollout.yaml"],
      ...["--route", "examples/rollout/route.yaml"],
      ...["--synthetic", "errors-for-one-tenant", "--per-second", "100"],
    ]);
    expect(stdout).toMatch(/^ +pinned to stable: one \(tenant one: success-rate fail: canary/m);
    expect(code).toBe(0);
  });

  it("are not made up for a route that no rollout could judge", { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await weir([
      ...["rollout", "simulate", "-f", "examples/rollout/rollout.yaml"],
      ...["--route", "examples/canary/route.yaml", "--synthetic", "none"],
    ]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/set spec\.tokens\.measure of the route to true \[not-measured\]$/m);
  });
});
