import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

/** Vectors of the xxHash project's own specification and of Envoy's tests. */
const vectors: [string, bigint, string][] = [
  ["", 0n, "ef46db3751d8e999"],
  ["", 20141025n, "493d554c526625ba"],
  ["a", 0n, "d24ec4f1a98c6e5b"],
  ["abc", 0n, "44bc2cf5ad770999"],
  ["Nobody inspects the spammish repetition", 0n, "fbcea83c8a378bf1"],
];

it("hashes as the reference implementation of XXH64 does", async () => {
  const out = join(tmpdir(), `weir-xxh64-${process.pid}.wasm`);
  const { main } = (await import("assemblyscript/asc")).default;
  const { error } = await main([
    "filters/format/xxh64.ts",
    "--runtime",
    "stub",
    "--use",
    "abort=",
    "--outFile",
    out,
  ]);
  expect(error).toBeNull();
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(out)), {});
  rmSync(out);
  const { xxh64, memory } = instance.exports as {
    xxh64: (ptr: number, bytes: number, seed: bigint) => bigint;
    memory: WebAssembly.Memory;
  };
  memory.grow(1);
  for (const [text, seed, expected] of vectors) {
    Buffer.from(memory.buffer).write(text, 1024);
    expect(BigInt.asUintN(64, xxh64(1024, text.length, seed)).toString(16)).toBe(expected);
  }
});
