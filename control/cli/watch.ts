import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { print } from "./output.ts";
import { onInterrupt } from "./signals.ts";

const everyMs = 1000;

/** The flag of whatever can be watched, as kubectl has it. */
export const watchFlag = ["-w, --watch", "keep showing changes until Ctrl-C"] as const;

/**
 * Prints the result of `look`, once, or with `watch` until Ctrl-C: in place on a
 * terminal; elsewhere, and `forPrograms`, again after each change. After the first
 * result it keeps retrying while the control service cannot be reached.
 */
export async function showOrWatch(
  watch: boolean | undefined,
  look: () => Promise<string>,
  forPrograms = false,
): Promise<void> {
  if (!watch) return print(await look());
  const inPlace = process.stdout.isTTY && !forPrograms;
  const interrupt = onInterrupt();
  let last: string | undefined;
  let away = false;
  while (!interrupt.aborted) {
    try {
      const text = await look();
      away = false;
      if (inPlace) print(`\x1b[H\x1b[2J${text}`);
      else if (text !== last && text !== "") print(text);
      last = text;
    } catch (error) {
      if (last === undefined || !isAway(error)) throw error;
      if (!away)
        process.stderr.write(
          `warning: cannot reach the control service: ${error.rawMessage}; retrying\n`,
        );
      away = true;
    }
    await sleep(everyMs, undefined, { signal: interrupt }).catch(() => {});
  }
}

/** Whether a call failed because no service was there to answer it, or the one that was there ended. */
export function isAway(error: unknown): error is ConnectError {
  return (
    error instanceof ConnectError &&
    (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded || isCutOff(error))
  );
}

/** Whether the connection broke before the answer. */
export function isCutOff(error: ConnectError): boolean {
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return error.code === Code.Aborted && typeof code === "string" && /^E/.test(code);
}
