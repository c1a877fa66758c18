import { readFileSync, writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import type {
  LoadResult,
  Objective,
  ObjectiveResult,
  QuestionOptions,
  Stage,
} from "../../load/index.ts";
import { variantHeader } from "../../route/index.ts";
import { errorText } from "../../text/error-text.ts";
import { FailedError, UsageError } from "../exit.ts";
import { print, printValue } from "../output.ts";
import { createProgress } from "../progress.ts";
import { onInterrupt } from "../signals.ts";

interface LoadFlags extends Omit<QuestionOptions, "headers" | "streams" | "prompt"> {
  stages: string;
  stageDuration: string;
  streams: number;
  prompt: string;
  header: string[];
  objective: string[];
  maxOpen: number;
  html?: string;
  output?: "json" | "yaml";
  apiKeyFile?: string;
}

/** How long answers may still take after the last stage. */
const drainMs = 30_000;

export function addLoad(program: Command): void {
  program
    .command("load")
    .summary("send load to a gateway in stages and measure the responses")
    .description(
      "Sends chat completions at rising rates in an open loop (a slow answer delays no other request) and shows latency and time to first token per stage and per variant. Needs no control service.",
    )
    .argument("<target>", "gateway, such as http://127.0.0.1:10000")
    .requiredOption("--host <authority>", "host that selects the route, such as chat.example.com")
    .option(
      "--stages <rates>",
      "requests per second of each stage, with an optional :duration",
      "100,250,500,1000,2500,5000",
    )
    .option("--stage-duration <duration>", "duration of stages that give none", "20s")
    .option("--streams <percent>", "percentage of requests that stream", parsePercent, 50)
    .option("--users <count>", "number of different users, who take turns", parseCount, 1000)
    .option("--user-header <name>", "header that names the user", "x-user-id")
    .option("-H, --header <name: value>", "header of every request; may be repeated", collect, [])
    .option("--api-key-file <file>", "file with the API key to send as a bearer token")
    .option("--model <name>", "model to ask for", "tiny")
    .option("--prompt <text>", "prompt of every request", "Tell me about rivers.")
    .option("--max-tokens <count>", "max_tokens of every request", parseCount, 64)
    .option("--max-open <count>", "maximum number of open requests", parseCount, 4000)
    .option("--variant-header <name>", "response header that names the variant", variantHeader)
    .option(
      "--objective <bound>",
      'objective that must hold, such as "errors<1%" or "first-token-p95<500ms"; may be repeated; exit code 1 when missed',
      collect,
      [],
    )
    .option("--html <file>", "write a report with charts")
    .addOption(new Option("-o, --output <format>", "output for programs").choices(["json", "yaml"]))
    .addHelpText(
      "after",
      '\nExamples:\n  weir load http://127.0.0.1:10000 --host chat.example.com --stages 50:10s,200:10s -H "x-tenant-id: acme"\n  weir load https://gateway --host chat.example.com --objective "p99<2s" --objective "errors<0.1%" --html report.html',
    )
    .action((target: string, flags: LoadFlags) => load(target, flags));
}

async function load(target: string, flags: LoadFlags): Promise<void> {
  // Loaded here: no other command should wait for the client and the charts.
  const { chatQuestions, drive, htmlReport, judge, progressLine, textReport } = await import(
    "../../load/index.ts"
  );
  const { stages, objectives, origin, headers } = await readPlan(target, flags);
  const interrupt = onInterrupt();
  const progress = createProgress();
  let result: LoadResult;
  try {
    result = await drive({
      target: origin,
      stages,
      question: chatQuestions({
        ...flags,
        streams: flags.streams / 100,
        headers: readHeaders(headers, flags),
      }),
      maxOpen: flags.maxOpen,
      drainMs,
      progress: (at) => progress.show(progressLine(at)),
      signal: interrupt,
    });
  } finally {
    progress.end();
  }
  const results = judge(objectives, result.total);
  if (flags.html) writeFileSync(flags.html, htmlReport(result, results));
  if (flags.output) printValue({ ...result, objectives: results }, flags.output);
  else print(textReport(result, results));
  if (flags.html) process.stderr.write(`report with charts: ${flags.html}\n`);
  failWhereMissed(results, result);
}

async function readPlan(
  target: string,
  flags: LoadFlags,
): Promise<{
  stages: Stage[];
  objectives: Objective[];
  origin: string;
  headers: [string, string][];
}> {
  const { durationMs, parseHeader, parseObjective, parseStages } = await import(
    "../../load/index.ts"
  );
  try {
    const url = new URL(/^https?:\/\//.test(target) ? target : `http://${target}`);
    return {
      stages: parseStages(flags.stages, durationMs(flags.stageDuration)),
      objectives: flags.objective.map(parseObjective),
      origin: url.origin,
      headers: flags.header.map(parseHeader),
    };
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

function failWhereMissed(results: readonly ObjectiveResult[], { total }: LoadResult): void {
  const missed = results.filter(({ held }) => !held);
  if (missed.length > 0)
    throw new FailedError(`missed ${missed.map(({ objective }) => objective).join(", ")}`);
  if (total.requests > 0 && total.failed === total.requests)
    throw new FailedError(`every request failed: ${total.failures[0]?.reason}`);
}

function readHeaders(
  header: readonly [string, string][],
  { apiKeyFile }: LoadFlags,
): Record<string, string> {
  const headers = Object.fromEntries(header);
  if (apiKeyFile) headers.authorization = `Bearer ${readFileSync(apiKeyFile, "utf8").trim()}`;
  return headers;
}

const collect = (value: string, before: string[]) => [...before, value];

function parsePercent(text: string): number {
  const percent = Number(text.replace(/%$/, ""));
  if (!(percent >= 0 && percent <= 100)) throw new InvalidArgumentError("give 0 to 100.");
  return percent;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1_000_000)
    throw new InvalidArgumentError("give a whole number from 1 to 1000000.");
  return count;
}
