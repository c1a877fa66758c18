import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, it } from "vitest";
import { drive, type Progress } from "../../control/load/index.ts";
import { arrivals } from "../../control/load/stages.ts";
import { seededRandom } from "../../control/rollout/simulate/synthetic.ts";
import { questionsOf } from "./question.ts";

/** The highest of the stages that `weir load` has without being told. */
const stage = { requestsPerSecond: 5000, durationMs: 2000 };
const planned = [...arrivals(stage, seededRandom(3))];
/** Clocks and timers are good to a millisecond, and a pause may end one early. */
const slackMs = 2;
const question = questionsOf(0);

/** Whoever waits for an answer before asking again never gets the first of so many. */
const held = 500;
/** A process of its own, that the generator's is not kept from sending; by a clock that both have. */
const fake = `
  const came = [];
  let letGo;
  const enough = new Promise((resolve) => { letGo = resolve; });
  const server = require("node:http").createServer(async (req, res) => {
    if (req.method === "GET") return res.end(JSON.stringify(came));
    came.push(Number(process.hrtime.bigint()) / 1e6);
    if (came.length === ${held}) letGo();
    req.resume();
    await enough;
    res.end("{}");
  });
  server.listen(0, "127.0.0.1", 4096, () => process.stdout.write(String(server.address().port)));
`;
const clockMs = () => Number(process.hrtime.bigint()) / 1e6;

let child: ChildProcess | undefined;
afterEach(() => void child?.kill("SIGKILL"));

it("5,000 requests a second go out as planned, whether or not those before are answered", async () => {
  const started = spawn(process.execPath, ["-e", fake], { stdio: ["ignore", "pipe", "inherit"] });
  child = started;
  const [port] = await once(started.stdout, "data");
  const target = `http://127.0.0.1:${port}`;
  const told: Progress[] = [];

  const beginMs = clockMs();
  const { stages, total, cut } = await drive({
    target,
    stages: [stage],
    question,
    maxOpen: planned.length,
    drainMs: 60_000,
    random: seededRandom(3),
    progress: (progress) => told.push(progress),
  });
  const tookMs = clockMs() - beginMs;
  const came = ((await (await fetch(target)).json()) as number[]).sort((a, b) => a - b);

  // 10,000 expected, with a standard deviation of 100.
  expect(Math.abs(planned.length - 10_000)).toBeLessThan(500);
  expect(cut).toBe(false);
  expect(stages).toMatchObject([{ sent: planned.length, notSent: 0 }]);
  expect(total).toMatchObject({ requests: planned.length, ok: planned.length, failed: 0 });
  expect(came.length).toBe(planned.length);
  // Late they may be on a busy machine, but none before its time: so many in so long is the rate.
  const early = planned.filter((dueMs, n) => (came[n] ?? 0) - beginMs < dueMs - slackMs);
  expect(early).toEqual([]);
  expect(tookMs).toBeGreaterThan(stage.durationMs - slackMs);

  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThanOrEqual(tookMs / 1000);
  for (const each of told) {
    expect(each).toMatchObject({ stage: 1, stages: 1, totalMs: stage.durationMs });
    expect(each.sent).toBe(each.open + each.soFar.requests);
  }
});
