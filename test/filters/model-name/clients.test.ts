import OpenAI, { toFile } from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import { createModelReader, type ModelReader } from "./model-reader.ts";
import { inAllSplits } from "./splits.ts";

// Bodies as clients make them: none is refused.

let reader: ModelReader;
beforeAll(() => {
  reader = createModelReader();
});

/** The body that a client sends, and its Content-Type. */
async function sent(call: (client: OpenAI) => Promise<unknown>) {
  const requests: Request[] = [];
  const client = new OpenAI({
    apiKey: "x",
    baseURL: "http://127.0.0.1:9/v1",
    fetch: async (url, init) => {
      requests.push(new Request(url, { ...init, duplex: "half" } as RequestInit));
      return Response.json({});
    },
  });
  await call(client);
  // Before its first form the client asks for "data:,", to see what fetch is.
  const request = requests.at(-1);
  if (request === undefined) throw new Error("the client sent nothing");
  const contentType = request.headers.get("content-type") ?? "";
  return { contentType, body: Buffer.from(await request.arrayBuffer()) };
}

describe("OpenAI's client", () => {
  const content = 'Gr\u00fc\u00dfe, \u4f60\u597d \u{1f680}\n\t"quoted" \\ \u0007 half: \ud83d';
  const call = (id: string) => ({
    id,
    type: "function" as const,
    function: { name: "f", arguments: '{"model":"other"}' },
  });
  it.each<[name: string, call: (client: OpenAI) => Promise<unknown>]>([
    [
      "chat",
      (client) =>
        client.chat.completions.create({
          messages: [
            { role: "user", content },
            { role: "assistant", tool_calls: [call("1")] },
            { role: "tool", tool_call_id: "1", content: "{}" },
          ],
          tools: [{ type: "function", function: { name: "f", parameters: { model: {} } } }],
          model: "org/model-1.5:8b",
          max_tokens: 7,
          temperature: 1e-7,
        }),
    ],
    [
      "responses",
      (client) => client.responses.create({ input: content, model: "org/model-1.5:8b" }),
    ],
    [
      "embeddings",
      (client) => client.embeddings.create({ input: [[1, 2, 100_000]], model: "org/model-1.5:8b" }),
    ],
    [
      "transcriptions",
      async (client) =>
        client.audio.transcriptions.create({
          file: await toFile(Buffer.from("RIFF\r\n--\r\n\0\xff", "latin1"), 'a "b" \u00e9;c.wav'),
          model: "org/model-1.5:8b",
          timestamp_granularities: ["word", "segment"],
        }),
    ],
  ])("%s", async (_name, make) => {
    const { contentType, body } = await sent(make);
    const form = contentType.startsWith("multipart/") ? contentType : undefined;
    expect(inAllSplits(reader, body, form)).toEqual({ model: Buffer.from("org/model-1.5:8b") });
  });
});

it("forms of JavaScript, the file first", async () => {
  const form = new FormData();
  form.append("file", new Blob(["RIFF"], { type: "audio/wav" }), "a.wav");
  form.append("model", "whisper-1");
  form.append("prompt", "two\nlines");
  const response = new Response(form);
  const body = Buffer.from(await response.arrayBuffer());
  expect(inAllSplits(reader, body, response.headers.get("content-type") ?? "")).toEqual({
    model: Buffer.from("whisper-1"),
  });
});
