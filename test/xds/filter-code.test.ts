import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { FilterMismatchError, readModule } from "../../control/publish/filter-code.ts";

const fileWith = (content: string | Buffer, name = "weir.wasm") => {
  const file = join(mkdtempSync(join(tmpdir(), "weir-module-")), name);
  writeFileSync(file, content);
  return file;
};

it.each(["", "\0as", "<html></html>", "x\0asm\x01\0\0\0"])(
  "a file that is no module is not sent to proxies: %j",
  (content) => {
    const file = fileWith(content);
    expect(() => readModule(file)).toThrow(FilterMismatchError);
    expect(() => readModule(file)).toThrow(`${file} is not a WebAssembly module`);
  },
);

it("neither is one of another build than the list beside it", () => {
  const file = fileWith("\0asm\x01\0\0\0");
  expect(readModule(file)).toHaveLength(8);
  writeFileSync(
    join(file, "../filters.json"),
    JSON.stringify({ weir: { sha256: "0".repeat(64) } }),
  );
  expect(() => readModule(file)).toThrow(/does not match filters.json/);
});
