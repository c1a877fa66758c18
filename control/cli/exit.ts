/** Ends the command with exit code 2: the words of the call are wrong. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Ends the command with exit code 1: refused or failed, with one or more lines that say why. */
export class FailedError extends Error {
  override name = "FailedError";
}
