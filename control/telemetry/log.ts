import { type DestinationStream, pino } from "pino";
import { plain } from "./plain.ts";

/** Writes a line for the operator; `code` names what happened for programs (docs/error-codes.md). */
export type Log = (line: string, code?: string) => void;

export interface LogOptions {
  /** "text" for people, "json" for programs: one object per line with time, level, msg and code. */
  format: "text" | "json";
  /** Where to; absent: standard error. */
  to?: DestinationStream;
}

/** Fields that must not reach a log, wherever they stand in what is logged. */
const secrets = ["authorization", "token", "*.authorization", "*.token", "*.password"];

/**
 * The service's log, and the logger beneath it for lines with more fields than a code.
 * A line that cannot be written is lost: a full disk under the log, or a reader that
 * has ended, is no reason to stop the service.
 */
export function createLog({ format, to: given = process.stderr }: LogOptions) {
  // A pipe tells of it later, a file at once.
  if (given === process.stderr) process.stderr.on("error", () => {});
  const to: DestinationStream = {
    write(line) {
      try {
        given.write(line);
      } catch {
        // There is nowhere to say it.
      }
    },
  };
  const logger = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secrets, censor: "***" },
    },
    to,
  );
  const log: Log = (line, code) => {
    if (format === "text") to.write(`${plain(line)}\n`);
    else if (code === undefined) logger.info(line);
    else logger.warn({ code }, line);
  };
  return { log, logger: format === "json" ? logger : undefined };
}
