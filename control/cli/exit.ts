import { plain } from "../telemetry/plain.ts";

/** Ends the command with exit code 2: the words of the call are wrong. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Ends the command with exit code 1: refused or failed, with one or more lines that say why. */
export class FailedError extends Error {
  override name = "FailedError";
}

/** What went wrong, as standard error shows it: a line for each of the message's. */
export function errorLines(message: string): string {
  return message
    .split("\n")
    .filter(Boolean)
    .map((line) => `error: ${plain(line)}\n`)
    .join("");
}
