import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { besideWeir, type FilterModule } from "../route/index.ts";
import type { FilterCode } from "../xds/index.ts";

/** What every WebAssembly module begins with. */
const magic = Buffer.from("\0asm");

export interface FilterCodeOptions {
  /** weir.wasm on this machine; the other modules lie beside it. */
  wasm: string;
  /** Path of weir.wasm on the proxies' machines, beside it the others; absent: the bytes are sent. */
  wasmOnProxy?: string;
}

/** Returns where proxies get a module from; files on this machine are read once, at first use. */
export function createFilterCode({
  wasm,
  wasmOnProxy,
}: FilterCodeOptions): (module: FilterModule) => FilterCode["wasm"] {
  const read = new Map<string, Uint8Array>();
  return (module) => {
    if (wasmOnProxy !== undefined) return { file: beside(wasmOnProxy, module) };
    const file = beside(wasm, module);
    const bytes = read.get(file) ?? readModule(file);
    read.set(file, bytes);
    return { bytes };
  };
}

/**
 * A module from this machine's disk. Where a filters.json lies beside it, as in the
 * package, it must be the one that is listed there.
 * @throws FilterMismatchError when it is another one, or no module at all
 */
export function readModule(file: string): Uint8Array {
  const bytes = readFileSync(file);
  if (!bytes.subarray(0, 4).equals(magic))
    throw new FilterMismatchError(
      `${file} is not a WebAssembly module: rebuild or reinstall it, or name another file with --wasm`,
    );
  const list = join(dirname(file), "filters.json");
  if (!existsSync(list)) return bytes;
  const listed = JSON.parse(readFileSync(list, "utf8")) as Record<string, { sha256: string }>;
  const wanted = listed[basename(file, ".wasm")]?.sha256;
  const found = createHash("sha256").update(bytes).digest("hex");
  if (wanted !== undefined && wanted !== found)
    throw new FilterMismatchError(
      `${file} does not match filters.json: its sha256 is ${found}, not ${wanted}; rebuild or reinstall it`,
    );
  return bytes;
}

/** A module that is not what was built with this service. */
export class FilterMismatchError extends Error {
  override name = "FilterMismatchError";
}

function beside(weir: string, module: FilterModule): string {
  const file = besideWeir(weir, module);
  if (file === undefined) {
    throw new Error(
      `cannot locate ${module}.wasm next to "${weir}": --wasm must name a file called weir.wasm`,
    );
  }
  return file;
}
