import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGuestMemory, pairsSize } from "../../host/guest-memory.ts";
import type { Headers } from "../../host/header-map.ts";
import { createProgram } from "../instructions/program.ts";

/** Counts the instructions that requests to weir.wasm take. */
export interface Counter {
  /**
   * Instructions per request: the filter, compiled ahead of time, and a host that
   * does next to nothing. Two counts are equal; no clock and no noise is in them.
   *
   * @param stepNs time between the requests
   */
  perRequest(headers: Headers, stepNs: number): { instructions: number; refused: number };
  /**
   * Instructions to take a configuration, the first time and when it replaces one
   * that was like it, and metrics that were defined for all of that.
   */
  perConfiguration(config: object): { first: number; again: number; defined: number };
  remove(): void;
}

/** Compiles weir.wasm to C and on to a program that is given this configuration. */
export function createCounter(config: object, name = "weir"): Counter {
  const directory = mkdtempSync(join(tmpdir(), "weir-instructions-"));
  const at = (name: string) => join(directory, name);
  const use = (given: object) => writeFileSync(at("config.json"), JSON.stringify(given));
  writeFileSync(at("headers"), "");
  const program = createProgram(directory, `build/${name}.wasm`, "host.c");

  function total(stepNs: number, requests: number, configurations = 1) {
    const { stdout, instructions } = program.run(
      ...[at("config.json"), at("headers"), stepNs, requests, configurations],
    );
    return {
      instructions,
      refused: Number(/^(\d+) refused/.exec(stdout)?.[1]),
      defined: Number(/(\d+) defined/.exec(stdout)?.[1]),
    };
  }

  return {
    perRequest(headers, stepNs) {
      use(config);
      writeFileSync(at("headers"), encodePairs(headers));
      const few = total(stepNs, 500);
      const many = total(stepNs, 1500);
      return {
        instructions: (many.instructions - few.instructions) / 1000,
        refused: (many.refused - few.refused) / 1000,
      };
    },
    perConfiguration(given) {
      use(given);
      const [none, one, three] = [0, 1, 3].map((times) => total(0, 0, times));
      if (none === undefined || one === undefined || three === undefined) throw new Error();
      return {
        first: one.instructions - none.instructions,
        again: (three.instructions - one.instructions) / 2,
        defined: three.defined,
      };
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

function encodePairs(headers: Headers): Uint8Array {
  const memory = new WebAssembly.Memory({ initial: 1 });
  createGuestMemory(memory).writePairs(0, headers);
  return new Uint8Array(memory.buffer, 0, pairsSize(headers));
}
