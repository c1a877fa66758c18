import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a body comes to: its model, or the name of a state. */
export type Outcome = { model: Buffer } | Exclude<keyof typeof states, "FOUND">;

const states = {
  READING: 0,
  FOUND: 0,
  ABSENT: 0,
  BROKEN: 0,
  NOT_TEXT: 0,
  EMPTY: 0,
  TOO_LONG: 0,
  TWICE: 0,
  MISSPELLED: 0,
  TOO_DEEP: 0,
};

interface Exports extends Record<keyof typeof states, WebAssembly.Global> {
  memory: WebAssembly.Memory;
  MODEL_READER_BYTES: WebAssembly.Global;
  openModelReader(reader: number): void;
  openFormReader(reader: number, contentType: number, bytes: number): void;
  readModel(reader: number, ptr: number, bytes: number): number;
  endModel(reader: number): number;
  modelPtr(reader: number): number;
  modelBytes(reader: number): number;
  _initialize(): void;
}

export interface ModelReader {
  /** Reads a body that comes in pieces; a form where it has a Content-Type. */
  read(pieces: readonly Buffer[], contentType?: string): Outcome;
}

/** Compiles the room filters/model-name as the modules are compiled. */
export function compileModelReader(out: string): void {
  const entry = "filters/model-name/index.ts";
  execFileSync(process.execPath, ["tools/compile-own-filter.js", entry, out], { stdio: "pipe" });
}

/** The room on its own, with memory for its reader and the bodies. */
export function createModelReader(): ModelReader {
  const out = join(tmpdir(), `weir-model-name-${process.pid}-${Math.random()}.wasm`);
  compileModelReader(out);
  const module = new WebAssembly.Module(readFileSync(out));
  rmSync(out);
  const wasm = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  wasm._initialize();
  const names = Object.keys(states) as (keyof typeof states)[];
  const nameOf = new Map(names.map((name) => [Number(wasm[name].value), name]));
  const pageBytes = 65536;
  const reader = wasm.memory.grow(1) * pageBytes;
  const readerBytes = Number(wasm.MODEL_READER_BYTES.value);
  const guardBytes = 64;
  const guard = Buffer.alloc(guardBytes, 0xa5);
  const room = reader + pageBytes;
  const bytesAt = (ptr: number, bytes: number) => Buffer.from(wasm.memory.buffer, ptr, bytes);

  /** Puts bytes right before the end of the memory: a read beyond them ends the VM. */
  function put(bytes: Buffer): number {
    const missing = room + bytes.length - wasm.memory.buffer.byteLength;
    if (missing > 0) wasm.memory.grow(Math.ceil(missing / pageBytes));
    const ptr = wasm.memory.buffer.byteLength - bytes.length;
    bytesAt(ptr, bytes.length).set(bytes);
    return ptr;
  }

  /** What the memory holds from before must not matter, nor may anything be written behind the reader. */
  function open(contentType?: string): void {
    bytesAt(reader, readerBytes + guardBytes).fill(0xa5);
    if (contentType === undefined) wasm.openModelReader(reader);
    else {
      const bytes = Buffer.from(contentType, "latin1");
      wasm.openFormReader(reader, put(bytes), bytes.length);
    }
  }

  function outcome(): Outcome {
    const state = nameOf.get(wasm.endModel(reader));
    if (state === undefined) throw new Error("the reader is in no state");
    if (!bytesAt(reader + readerBytes, guardBytes).equals(guard))
      throw new Error("the reader writes behind its end");
    if (state !== "FOUND") return state;
    return { model: Buffer.from(bytesAt(wasm.modelPtr(reader), wasm.modelBytes(reader))) };
  }

  return {
    read(pieces, contentType) {
      open(contentType);
      for (const piece of pieces) wasm.readModel(reader, put(piece), piece.length);
      return outcome();
    },
  };
}
