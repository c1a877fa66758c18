import { spawn } from "node:child_process";
import { errorText } from "../text/error-text.ts";
import { FailedError } from "./exit.ts";

/** A command that runs below this one. */
export interface Child {
  /** Resolves when it has ended: undefined after status 0, else with what happened. */
  gone: Promise<string | undefined>;
  /** Asks it to end, and ends it after the time. Resolves when it is gone. */
  end(withinMs: number): Promise<void>;
}

/** Starts a command with the terminal of this one. @throws FailedError where it cannot be started */
export async function startChild([file = "", ...args]: readonly string[]): Promise<Child> {
  const child = spawn(file, args, { stdio: "inherit" });
  const gone = new Promise<string | undefined>((resolve) =>
    child.once("exit", (status, signal) => {
      if (status === 0) resolve(undefined);
      else
        resolve(signal ? `${file} was ended by ${signal}` : `${file} ended with status ${status}`);
    }),
  );
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) =>
      reject(new FailedError(`cannot start ${file}: ${errorText(error)}`)),
    );
  });
  return {
    gone,
    async end(withinMs) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), withinMs);
      await gone;
      clearTimeout(late);
    },
  };
}
