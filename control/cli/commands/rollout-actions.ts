import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type ListRolloutsResponse,
  ListRolloutsResponseSchema,
  type Rollout,
  type RolloutProgress,
  RolloutProgressSchema,
} from "../../gen/weir/v1/rollout_pb.ts";
import { hasEnded, parseRolloutText, showStage, stageAt } from "../../rollout/index.ts";
import { routeName } from "../../route/index.ts";
import { plain } from "../../telemetry/plain.ts";
import type { Clients } from "../client.ts";
import { FailedError } from "../exit.ts";
import { problemLine, readInput } from "../input.ts";
import { print, printValue, table, valueText } from "../output.ts";
import { showHead, showProgress } from "./rollout-view.ts";

export { showPins, showVerdict } from "./rollout-view.ts";

/** Where a rollout is after a command, on one line or all of it. */
export function printProgress(progress: RolloutProgress, format?: "json" | "yaml"): void {
  if (format) printValue(toJson(RolloutProgressSchema, progress), format);
  else print(showHead(progress));
}

/** The newest rollout of each route, in a table or for programs. */
export function describeRollouts(
  answer: ListRolloutsResponse,
  format: "json" | "yaml" | undefined,
): string {
  if (format) return valueText(toJson(ListRolloutsResponseSchema, answer), format);
  if (answer.rollouts.length === 0) return "no rollouts";
  const rows = answer.rollouts.map(({ state, proven, wanted }) => {
    const spec = state?.rollout?.spec;
    const stage = spec ? stageAt(spec, state?.step ?? 0) : undefined;
    return [
      routeName(state?.rollout),
      state?.phase ?? "",
      spec && stage ? showStage(spec, stage) : "-",
      wanted > 0 ? `${proven}/${wanted}` : "-",
      state?.reason ?? "",
    ];
  });
  return table(["ROUTE", "PHASE", "STEP", "APPLIED", "REASON"], rows);
}

/** The rollout of a file. @throws FailedError with a line per problem */
export function readRollout(file: string): Rollout {
  const { rollout, problems } = parseRolloutText(readInput(file));
  if (rollout === undefined)
    throw new FailedError(problems.map((each) => problemLine({ ...each, file })).join("\n"));
  return rollout;
}

/** Shows a rollout until it ends, or once. @throws FailedError when it ends without success */
export async function watchRollout(
  { rollouts }: Clients,
  name: string,
  { once, json }: { once: boolean; json: boolean },
): Promise<void> {
  const show = createScreen(json);
  if (once) {
    const { progress } = await rollouts.getRollout({ name });
    if (progress) show(progress);
    return;
  }
  await rollouts.getRollout({ name }).catch((error: unknown) => {
    if (!(error instanceof ConnectError) || error.code !== Code.NotFound) throw error;
    process.stderr.write(`${plain(error.rawMessage)}: waiting until one starts\n`);
  });
  // A stream that is left stays open by itself, and the process with it.
  const seen = new AbortController();
  try {
    for await (const { progress } of rollouts.watchRollout(
      { name },
      { timeoutMs: 0, signal: seen.signal },
    )) {
      if (progress?.state === undefined) continue;
      show(progress);
      if (!hasEnded(progress.state)) continue;
      if (progress.state.phase === "succeeded") return;
      throw new FailedError(`${progress.state.phase}: ${progress.state.reason}`);
    }
  } finally {
    seen.abort();
  }
}

/** Draws over what it drew before on a terminal; elsewhere it adds, and only what is new. */
function createScreen(json: boolean): (progress: RolloutProgress) => void {
  let lines = 0;
  let before = "";
  return (progress) => {
    if (json) {
      print(JSON.stringify(toJson(RolloutProgressSchema, progress)));
      return;
    }
    const text = showProgress(progress);
    if (text === before) return;
    before = text;
    if (process.stdout.isTTY && lines > 0) process.stdout.write(`\u001b[${lines}A\u001b[J`);
    const columns = process.stdout.columns || 80;
    lines = text
      .split("\n")
      .reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
    print(text);
  };
}
