import { expect } from "vitest";
import type { ModelReader, Outcome } from "./model-reader.ts";

/** Longer bodies are cut at so many places at most. */
const mostCuts = 600;

/** What a body comes to, which is the same in one piece, cut in two anywhere, and byte by byte. */
export function inAllSplits(reader: ModelReader, body: Buffer, contentType?: string): Outcome {
  const whole = reader.read([body], contentType);
  const bytes = Array.from(body, (_, at) => body.subarray(at, at + 1));
  expect(reader.read(bytes, contentType), "byte by byte").toEqual(whole);
  const step = Math.ceil((body.length + 1) / mostCuts);
  for (let cut = 0; cut <= body.length; cut += step) {
    const pieces = [body.subarray(0, cut), body.subarray(cut)];
    expect(reader.read(pieces, contentType), `cut at ${cut}`).toEqual(whole);
  }
  return whole;
}
