import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { startChild } from "../child.ts";
import { type ServerFlags, withServer } from "../client.ts";
import { parseDuration, wholeNumber } from "../edge-flags.ts";
import { FailedError } from "../exit.ts";
import { server } from "../flags.ts";
import { keepLease, lastWord, millisecondsOf } from "../lease.ts";

interface RegisterFlags extends ServerFlags {
  route: string;
  variant: string;
  address: string;
  capacity: number;
  lease: number;
  health?: string;
  drain: number;
}

const healthMs = 2_000;
/** What the command below gets to end after SIGTERM. */
const endMs = 10_000;
const callMs = 2_000;

export function addRegister(program: Command): void {
  program
    .command("register")
    .summary("register a pod for a variant, and keep it registered while it runs")
    .description(
      "Registers a pod for a variant with register: true, and renews its lease while it is healthy. With a command after --, it starts the command first and ends with it. On SIGTERM or SIGINT it sends the pod no new requests, waits for its streams, ends the command and deregisters the pod; a second signal ends the wait.",
    )
    .argument("[command...]", "command that serves the pod's requests")
    .requiredOption("--route <name>", 'route of the variant, "namespace/name" or just its name')
    .requiredOption("--variant <name>", "variant that the pod belongs to")
    .requiredOption("--address <ip:port>", "address at which the proxies reach the pod")
    .option(
      "--capacity <number>",
      "share of the variant's requests, relative to other pods",
      (text) => wholeNumber(text, 1, 1_000),
      1,
    )
    .addOption(
      new Option(
        "--lease <duration>",
        "time after which the pod is gone when it does not renew, 3s to 30s",
      )
        .argParser(parseDuration)
        .default(10_000, "10s"),
    )
    .option("--health <url>", "URL that answers 2xx when the pod can take requests", httpUrl)
    .addOption(
      new Option("--drain <duration>", "time that streams in flight get to finish")
        .argParser(parseDuration)
        .default(30_000, "30s"),
    )
    .option(...server)
    .addHelpText(
      "after",
      "\nExample:\n  weir register --route chat --variant stable --address 10.0.0.7:8000 --health http://127.0.0.1:8000/health -- vllm serve llama",
    )
    .action((command: string[], flags: RegisterFlags) =>
      withServer(flags, async ({ endpoints }) => {
        const { route, variant, address, capacity, lease: leaseMs, health, drain: drainMs } = flags;
        const say = (line: string) => void process.stderr.write(`weir register: ${line}\n`);
        const stops = signals();
        const child = command.length > 0 ? await startChild(command) : undefined;
        const instance = randomBytes(12).toString("hex");
        const ended = new AbortController();
        const lease = keepLease({
          endpoints,
          pod: { route, variant, address, instance, capacity, leaseMs },
          isHealthy: () => answers(health),
          say,
          signal: ended.signal,
        });
        const childGone = child?.gone ?? never;
        try {
          await Promise.race([stops.first, childGone, lease]);
          if (stops.count() > 0) {
            const named = { route, address, instance };
            const answer = await lastWord(
              () => endpoints.drainEndpoint(named, { timeoutMs: callMs }),
              say,
            );
            const after = answer?.effectiveAfter;
            const waitMs = drainMs + (after ? millisecondsOf(after) : 0);
            say(`draining for ${Math.round(waitMs / 1000)} s`);
            await Promise.race([sleep(waitMs, undefined, { ref: false }), stops.second, childGone]);
          }
        } finally {
          ended.abort();
          await child?.end(endMs);
          await lastWord(
            () => endpoints.deregisterEndpoint({ route, address, instance }, { timeoutMs: callMs }),
            say,
          );
        }
        const failure = stops.count() === 0 ? await child?.gone : undefined;
        if (failure !== undefined) throw new FailedError(failure);
      }),
    );
}

const never = new Promise<never>(() => {});

/** The first and the second SIGTERM or SIGINT. */
function signals() {
  let count = 0;
  let first = () => {};
  let second = () => {};
  const firstCame = new Promise<void>((resolve) => {
    first = resolve;
  });
  const secondCame = new Promise<void>((resolve) => {
    second = resolve;
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      count++;
      if (count === 1) first();
      else second();
    });
  return { first: firstCame, second: secondCame, count: () => count };
}

async function answers(url: string | undefined): Promise<boolean> {
  if (url === undefined) return true;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(healthMs) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    // Whatever goes wrong, the pod does not answer.
    return false;
  }
}

function httpUrl(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError("give an http or https URL.");
  return text;
}
