import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** A module that is compiled ahead of time, with a host in C. */
export interface Program {
  /** Runs it; two counts are equal, for no clock and no noise is in them. */
  run(...args: readonly (string | number)[]): { instructions: number; stdout: string };
}

/**
 * Compiles a module to C, and on to a program in a directory.
 * @param wasm its path
 * @param host the name of a file in test/filters/instructions
 */
export function createProgram(directory: string, wasm: string, host: string): Program {
  const at = (name: string) => join(directory, name);
  const runtime = "/usr/share/wabt/wasm2c";
  start("wasm2c", [wasm, "-n", "weir", "-o", at("weir.c")]);
  const sources = [`test/filters/instructions/${host}`, at("weir.c"), `${runtime}/wasm-rt-impl.c`];
  start("gcc", ["-O2", `-I${directory}`, `-I${runtime}`, ...sources, "-o", at("program"), "-lm"]);
  return {
    run(...args) {
      const tool = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
      const { stdout, stderr } = start("valgrind", [...tool, at("program"), ...args.map(String)]);
      return { instructions: Number(/Collected : (\d+)/.exec(stderr)?.[1]), stdout };
    },
  };
}

function start(command: string, args: string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return { stdout, stderr };
}
