import { plain } from "../telemetry/plain.ts";

/** Ends the command with exit code 2: wrong usage. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Ends the command with exit code 1: refused or failed, with one or more lines that say why. */
export class FailedError extends Error {
  override name = "FailedError";
}

/** Formats an error for standard error: one line for each line of the message. */
export function errorLines(message: string): string {
  return message
    .split("\n")
    .filter(Boolean)
    .map((line) => `error: ${plain(line)}\n`)
    .join("");
}
