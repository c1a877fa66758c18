import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProgram, type Program } from "../instructions/program.ts";
import { compileModelReader } from "./model-reader.ts";

const kib = 1024;
const prose = "The quick brown fox jumps over the lazy dog, and then it does so again.\\n";
const filled = (text: string, bytes: number) => text.repeat(Math.ceil(bytes / text.length));
const chat = (content: string) => `{"messages":[{"role":"user","content":"${content}"}]`;
const last = (body: string) => Buffer.from(`${body},"model":"m"}`);
const first = (body: string) => Buffer.from(`{"model":"m",${body.slice(1)}}`);
const tokens = Array.from({ length: 30_000 }, (_, i) => 10_000 + i).join(", ");
const boundary = "----WebKitFormBoundary7MA4YWxk";
const part = (name: string, data: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${data}\r\n`;

const cases: Record<string, { body: Buffer; type?: string }> = {
  "a chat of 2 KiB, the model first": { body: first(chat(filled(prose, 2 * kib))) },
  "a chat of 2 KiB, the model last": { body: last(chat(filled(prose, 2 * kib))) },
  "a chat of 1 MiB, the model last": { body: last(chat(filled(prose, kib * kib))) },
  "a chat in Chinese": { body: last(chat(filled("\u6f22\u5b57\u4e2d\u6587\uff0c", 100 * kib))) },
  "a chat in escapes": { body: last(chat(filled("\\u6f22\\u5b57\\n", 200 * kib))) },
  "an image in base64": { body: last(chat(filled("iVBORw0KGgoAAAANSUhEUg", 256 * kib))) },
  "a prompt in numbers": { body: last(`{"input":[${tokens}]`) },
  "many short messages": {
    body: last(`{"messages":[${filled('{"role":"user","content":"some words"},', 100 * kib)}{}]`),
  },
  "many members": {
    body: last(`{${Array.from({ length: 5000 }, (_, i) => `"name ${i}":"value"`).join(",")}`),
  },
  "a form with a file of 1 MiB": {
    body: Buffer.from(
      `${part("file", filled("RIFF\r\n and more that is no text,", kib * kib))}${part("model", "m")}--${boundary}--\r\n`,
    ),
    type: `multipart/form-data; boundary=${boundary}`,
  },
};
/** The most instructions for a KiB of each; lower them when the reader gets faster. */
const max = JSON.parse(readFileSync("test/vectors/model-instructions.json", "utf8")) as Record<
  string,
  number
>;

describe("instructions of the reader of models for a KiB of a body", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-model-instructions-"));
  const at = (name: string) => join(directory, name);
  let program: Program;
  beforeAll(() => {
    compileModelReader(at("model-name.wasm"));
    program = createProgram(directory, at("model-name.wasm"), "body.c");
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each(Object.entries(cases))("%s", (name, { body, type = "-" }) => {
    writeFileSync(at("body"), body);
    const [once, twice] = [1, 2].map((times) => program.run(at("body"), times, type));
    expect(once?.stdout).toBe("m\n");
    const instructions = (twice?.instructions ?? 0) - (once?.instructions ?? 0);
    const each = Math.round((instructions * kib) / body.length);
    console.log(`${name}: ${each} instructions for a KiB`);
    expect(each).toBeGreaterThan(0);
    expect(each).toBeLessThanOrEqual(max[name] ?? 0);
  });
});
