import { readFileSync } from "node:fs";
import { besideWeir, type FilterModule } from "./route/index.ts";
import type { FilterCode } from "./xds/index.ts";

export interface FilterCodeOptions {
  /** weir.wasm on this machine; the other modules lie beside it. */
  wasm: string;
  /** Path of weir.wasm on the proxies' machines, beside it the others; absent: the bytes are sent. */
  wasmOnProxy?: string;
}

/** Tells where proxies get a module from; files on this machine are read once, at first use. */
export function createFilterCode({
  wasm,
  wasmOnProxy,
}: FilterCodeOptions): (module: FilterModule) => FilterCode["wasm"] {
  const read = new Map<string, Uint8Array>();
  return (module) => {
    if (wasmOnProxy !== undefined) return { file: beside(wasmOnProxy, module) };
    const file = beside(wasm, module);
    const bytes = read.get(file) ?? readFileSync(file);
    read.set(file, bytes);
    return { bytes };
  };
}

function beside(weir: string, module: FilterModule): string {
  const file = besideWeir(weir, module);
  if (file === undefined) {
    throw new Error(`${module}.wasm cannot be told from "${weir}": it must be called weir.wasm`);
  }
  return file;
}
