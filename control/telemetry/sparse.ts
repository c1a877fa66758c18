import type { Log } from "./log.ts";

/**
 * Logs a line at once, and those that follow soon after together, as the last of them and their
 * number: a thousand proxies may all have the same to report.
 */
export function sparse(log: Log, everyMs = 1_000): Log {
  let waiting: { line: string; code: string | undefined; count: number } | undefined;

  function later(): void {
    setTimeout(() => {
      const { line = "", code, count = 0 } = waiting ?? {};
      waiting = undefined;
      if (count === 0) return;
      log(count === 1 ? line : `${line} (and ${count - 1} more like it)`, code);
      waiting = { line, code, count: 0 };
      later();
    }, everyMs).unref();
  }

  return (line, code) => {
    if (waiting) {
      waiting = { line, code, count: waiting.count + 1 };
      return;
    }
    log(line, code);
    waiting = { line, code, count: 0 };
    later();
  };
}
