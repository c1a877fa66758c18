import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Fault, FaultSchema, type InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { DrillObjective, ProbeResult, ProbeWindow } from "../../load/index.ts";
import { variantHeader } from "../../route/index.ts";
import { errorText } from "../../text/error-text.ts";
import { type Clients, withServer } from "../client.ts";
import { FailedError, UsageError } from "../exit.ts";
import { reason, server } from "../flags.ts";
import { printTable, printValue } from "../output.ts";
import { createProgress } from "../progress.ts";
import { onInterrupt } from "../signals.ts";
import { waitApplied } from "../wait.ts";

interface DrillFlags {
  model: string;
  server?: string;
  tokenFile?: string;
  reason: string;
  gateway: string;
  delay?: string;
  abort?: number;
  cutAfter?: string;
  slowTokens?: number;
  percent: number;
  variant: string;
  for: string;
  rate: number;
  header: string[];
  objective: string[];
  output?: "json" | "yaml";
}

const tagHeader = "x-weir-drill";
const windowMs = 5_000;
const appliedMs = 30_000;
/** The control service ends the drill by itself this long after its time, should this command be gone. */
const graceMs = 10_000;
const longestMs = 3_600_000;

export function addDrill(program: Command): void {
  program
    .command("drill")
    .summary("inject faults into tagged requests for a limited time and measure the effect")
    .description(
      "Sends its own requests, half of them with a secret tag, and makes the proxies delay, abort, cut off or slow down the tagged ones. Requests of users are not affected. Ends when its time is over, on Ctrl-C, and when an objective is missed; if this command dies, the control service ends the drill.",
    )
    .argument("<name>", "route")
    .requiredOption(
      "--gateway <url>",
      "gateway to send the requests to, such as http://127.0.0.1:10000",
    )
    .option("--delay <duration>", "delay tagged requests, such as 500ms")
    .option("--abort <status>", "answer tagged requests with this status", parseStatus)
    .option("--cut-after <duration>", "cut off tagged responses after this time")
    .option("--slow-tokens <KiB/s>", "limit tagged responses to this rate", parseCount)
    .option("--percent <percent>", "percentage of tagged requests to delay or abort", Number, 100)
    .option("--variant <name>", "affect only requests that go to this variant", "")
    .option("--for <duration>", "duration of the drill, at most 1h", "60s")
    .option("--rate <count>", "requests per second, tagged and untagged each", parseCount, 5)
    .option("--model <name>", "model to ask for", "tiny")
    .option("-H, --header <name: value>", "header of every request; may be repeated", collect, [])
    .option(
      "--objective <bound>",
      'objective that ends the drill when missed, such as "errors<1%"; "others:p99<2s" applies to the untagged requests; may be repeated',
      collect,
      [],
    )
    .option(...server)
    .option(...reason)
    .addOption(new Option("-o, --output <format>", "output for programs").choices(["json", "yaml"]))
    .addHelpText(
      "after",
      '\nExamples:\n  weir drill chat --gateway http://127.0.0.1:10000 --delay 500ms --for 60s --objective "others:errors<1%"\n  weir drill chat --gateway http://127.0.0.1:10000 --cut-after 200ms --for 20s -H "x-tenant-id: acme"',
    )
    .action((name: string, flags: DrillFlags) =>
      withServer(flags, (clients) => drill(clients, name, flags)),
    );
}

async function drill(clients: Clients, name: string, flags: DrillFlags): Promise<void> {
  const { objectives, forMs, origin, headers } = await readPlan(flags);
  const tag = randomBytes(6).toString("hex");
  const fault = await faultOf(flags, tag, Date.now() + appliedMs + forMs + graceMs);
  const { state } = await clients.routes.getRoute({ name });
  const route = state?.route;
  if (!route?.spec || !state) throw new FailedError(`there is no route ${name}`);
  if (route.spec.fault)
    throw new FailedError(
      `${name} already has a fault: another drill is running, or the route document sets one`,
    );
  // From here on Ctrl-C must remove the fault again.
  const interrupt = onInterrupt();
  const why = flags.reason || `drill for ${flags.for}`;
  const started = await clients.routes.applyRoute({
    route: { ...route, spec: { ...route.spec, fault } },
    etag: state.etag,
    reason: why,
  });
  let result: ProbeResult;
  try {
    await waitApplied(clients, name, started.state?.etag ?? "", appliedMs);
    result = await measure(route, { flags, tag, objectives, forMs, origin, headers, interrupt });
  } finally {
    await endDrill(clients, name, tag);
  }
  report(result, flags.output);
  if (result.breached.length > 0)
    throw new FailedError(
      `the drill was ended early: missed ${result.breached.map(({ objective }) => objective).join(", ")}`,
    );
}

interface Plan {
  objectives: DrillObjective[];
  forMs: number;
  origin: string;
  headers: Record<string, string>;
}

async function readPlan(flags: DrillFlags): Promise<Plan> {
  const { durationMs, parseHeader, parseObjective } = await import("../../load/index.ts");
  try {
    const forMs = durationMs(flags.for);
    if (forMs > longestMs) throw new Error(`--for ${flags.for} is longer than the limit of 1h`);
    return {
      forMs,
      origin: new URL(flags.gateway).origin,
      headers: Object.fromEntries(flags.header.map(parseHeader)),
      objectives: flags.objective.map((text) => ({
        of: text.startsWith("others:") ? "others" : "tagged",
        objective: parseObjective(text.replace(/^others:/, "")),
      })),
    };
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

async function faultOf(flags: DrillFlags, tag: string, untilMs: number): Promise<Fault> {
  const { durationMs } = await import("../../load/index.ts");
  const { abort, cutAfter, delay, percent, slowTokens, variant } = flags;
  if ([abort, cutAfter, delay, slowTokens].every((part) => part === undefined))
    throw new UsageError("give at least one of --delay, --abort, --cut-after and --slow-tokens");
  const duration = (text: string) => {
    try {
      return durationFromMs(durationMs(text));
    } catch (error) {
      throw new UsageError(errorText(error));
    }
  };
  return create(FaultSchema, {
    match: [{ header: tagHeader, exact: tag }],
    variant,
    until: timestampFromMs(untilMs),
    ...(delay === undefined ? {} : { delay: { percent, duration: duration(delay) } }),
    ...(abort === undefined ? {} : { abort: { percent, httpStatus: abort } }),
    ...(cutAfter === undefined ? {} : { cutAfter: duration(cutAfter) }),
    ...(slowTokens === undefined ? {} : { kibibytesPerSecond: slowTokens }),
  });
}

async function measure(
  route: InferenceRoute,
  plan: Plan & { flags: DrillFlags; tag: string; interrupt: AbortSignal },
): Promise<ProbeResult> {
  const { chatQuestions, probe } = await import("../../load/index.ts");
  const questions = (headers: Record<string, string>) =>
    chatQuestions({
      host: route.spec?.hosts[0] ?? "",
      model: plan.flags.model,
      streams: 0.5,
      maxTokens: 16,
      prompt: "hello",
      users: 20,
      userHeader: "x-user-id",
      headers: { ...plan.headers, ...headers },
      variantHeader,
    });
  const progress = createProgress();
  try {
    return await probe({
      target: plan.origin,
      requestsPerSecond: plan.flags.rate,
      durationMs: plan.forMs,
      windowMs,
      tagged: questions({ [tagHeader]: plan.tag }),
      others: questions({}),
      objectives: plan.objectives,
      onWindow: (window) => progress.show(windowLine(window)),
      signal: plan.interrupt,
    });
  } finally {
    progress.end();
  }
}

/** Removes the fault that this drill set, and no other, retrying when the route changes in the meantime. */
async function endDrill({ routes }: Clients, name: string, tag: string): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const { state } = await routes.getRoute({ name });
    const { fault, ...spec } = state?.route?.spec ?? {};
    const [match] = fault?.match ?? [];
    if (!state?.route?.spec || match?.exact !== tag) return;
    const route = { ...state.route, spec: { ...state.route.spec, ...spec, fault: undefined } };
    const done = await routes
      .applyRoute({
        route: route as unknown as InferenceRoute,
        etag: state.etag,
        reason: "the drill has ended",
      })
      .then(
        () => true,
        () => false,
      );
    if (done) return;
  }
  throw new FailedError(
    "could not remove the fault from the route; the control service removes it when its time is over",
  );
}

function report({ windows }: ProbeResult, output: DrillFlags["output"]): void {
  if (output) {
    printValue(windows, output);
    return;
  }
  const rows = windows.map(({ atMs, tagged, others, objectives }) => [
    `${Math.round(atMs / 1000)} s`,
    `${tagged.ok}/${tagged.refused}/${tagged.failed}`,
    milliseconds(tagged.latencyMs.p95),
    milliseconds(tagged.firstTokenMs.p95),
    `${others.ok}/${others.refused}/${others.failed}`,
    milliseconds(others.latencyMs.p95),
    milliseconds(others.firstTokenMs.p95),
    objectives
      .map(({ objective, held }) => `${objective} ${held ? "held" : "MISSED"}`)
      .join(", ") || "-",
  ]);
  printTable(
    [
      "AT",
      "TAGGED OK/REFUSED/FAILED",
      "P95",
      "FIRST TOKEN",
      "OTHERS OK/REFUSED/FAILED",
      "P95",
      "FIRST TOKEN",
      "OBJECTIVES",
    ],
    rows,
  );
}

function windowLine({ atMs, tagged, others }: ProbeWindow): string {
  return `${Math.round(atMs / 1000)} s: tagged p95 ${milliseconds(tagged.latencyMs.p95)}, ${tagged.failed} failed; others p95 ${milliseconds(others.latencyMs.p95)}, ${others.failed} failed`;
}

function milliseconds(value: number): string {
  return Number.isNaN(value) ? "-" : `${Math.round(value)} ms`;
}

const collect = (value: string, before: string[]) => [...before, value];

function parseStatus(text: string): number {
  const status = Number(text);
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new InvalidArgumentError("give a status from 200 to 599.");
  return status;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1_000_000)
    throw new InvalidArgumentError("give a whole number from 1 to 1000000.");
  return count;
}
