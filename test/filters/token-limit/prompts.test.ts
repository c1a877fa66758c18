import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { ask, json, tokenProxy } from "./token-streams.ts";

// What a prompt is taken to cost until its usage is known: text by its bytes of UTF-8
// however it is spelled, images, sounds and files by a token for each KiB.

/** Tokens reserved for a body that comes in pieces of that many bytes. */
function reserved(path: string, text: string, type = "application/json", piece = 1 << 20): number {
  const body = Buffer.from(text);
  const exchange = ask(tokenProxy().worker, {
    "x-tenant-id": "acme",
    ":path": path,
    "content-type": type,
    "content-length": String(body.length),
  });
  for (let at = 0; at < body.length; at += piece)
    exchange.requestBody(body.subarray(at, at + piece), at + piece >= body.length);
  const headers = exchange.responseHeaders([[":status", "500"]], true);
  return 60_000 - Number(Object.fromEntries(headers)["x-ratelimit-remaining-tokens"]);
}

const chat = (content: string) => `{"max_tokens":1,"messages":[{"content":"${content}"}]}`;
const lines = (text: string) => text.replaceAll(/(.{76})/g, "$1\\n");
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
const jpeg = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgK";
const pdf = "JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PC9UeXBlL0NhdGFsb2cv";
const docx = "UEsDBBQABgAIAAAAIQDfpNJsWgEAACAFAAATAAgCW0NvbnRlbnRf";
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0";

describe("what is no text costs a token for each KiB", () => {
  const size = 20_000;
  const long = (text: string) => text.repeat(Math.ceil(size / text.length)).slice(0, size);
  it.each<[name: string, path: string, body: string]>([
    ["a data URL of a chat", "/v1/chat/completions", chat(`data:image/png;base64,${long(png)}`)],
    [
      "a data URL of the Responses API",
      "/v1/responses",
      `{"max_output_tokens":1,"input":[{"image_url":"data:image/jpeg;base64,${long(jpeg)}"}]}`,
    ],
    [
      "a data URL whose data are zeros",
      "/v1/chat/completions",
      chat(`data:audio/wav;base64,${long("AAAA")}`),
    ],
    [
      "a data URL with a set of letters",
      "/v1/chat/completions",
      chat(`data:text/plain;charset=utf-8;base64,${long("SGVs")}`),
    ],
    [
      "Ollama's images",
      "/api/chat",
      `{"options":{"num_predict":1},"messages":[{"images":["${long(png)}"]}]}`,
    ],
    [
      "an image of Anthropic's",
      "/v1/messages",
      `{"max_tokens":1,"messages":[{"content":[{"source":{"type":"base64","data":"${long(jpeg)}"}}]}]}`,
    ],
    [
      "a file",
      "/v1/chat/completions",
      `{"max_tokens":1,"messages":[{"file":{"file_data":"${long(pdf)}"}}]}`,
    ],
    ["a document", "/v1/chat/completions", chat(long(docx))],
    [
      "sound",
      "/v1/chat/completions",
      `{"max_tokens":1,"messages":[{"content":[{"input_audio":{"data":"${long(wav)}"}}]}]}`,
    ],
    [
      "base64 with its slashes escaped",
      "/v1/chat/completions",
      chat(long(jpeg).replaceAll("/", "\\/")),
    ],
    ["base64 in lines", "/v1/chat/completions", chat(lines(long(pdf)))],
    ["base64url", "/v1/chat/completions", chat(long("R0lGODlh-_AAEA_wAAAP-hIf8LTkVU"))],
  ])("%s", (_name, path, body) => {
    for (const piece of [1 << 20, 1000, 37]) {
      const tokens = reserved(path, body, "application/json", piece);
      expect(tokens).toBeGreaterThanOrEqual(19);
      expect(tokens).toBeLessThan(64);
    }
  });
});

describe("what is text costs a token for each four bytes, whatever it is like", () => {
  const size = 12_000;
  const long = (text: string) => text.repeat(Math.ceil(size / text.length));
  const escaped = (text: string) =>
    text.replaceAll(/[^ -~]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const chinese = long("\u6f22\u5b57\u4e2d\u6587");
  it.each<[name: string, content: string]>([
    ["Chinese", chinese],
    ["Chinese as escapes", escaped(chinese)],
    ["Japanese without spaces", long("\u3053\u308c\u306f\u672c\u3067\u3059\u3002")],
    ["Thai behind Latin letters", `${"Ab".repeat(40)}${long("\u0e20\u0e32\u0e29\u0e32")}`],
    ["Chinese as escapes behind Latin letters", `${"Ab".repeat(400)}${escaped(chinese)}`],
    ["minified JSON", long('{\\"aB\\":[1,2],\\"cD\\":3},')],
    ["minified code", long("function(a){return(a+1)};")],
    ["identifiers", long("the_long_name_of_a_member_")],
    ["words in capitals", long("VERY_LONG_CONSTANT_")],
    ["a sequence of DNA", long("GATTACA")],
    ["a protein", long("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ")],
    ["digits of a hash", long("deadbeef0123456789")],
    ["numbers in rows", long("1.5,2.25,Ab,")],
    ["addresses", long("https://example.com/aB1/")],
    ["paths of files", long("/usr/Share/Doc.d/")],
    ["prose behind a long word", `${"AbC9".repeat(20)} ${long("some more words ")}`],
    ["prose far behind letters of base64", `${png.repeat(30)} ${long("some more words ")}`],
    ["prose that speaks of data", `data: ${long("the data are these: ")}`],
    ["prose behind a data URL", `data:image/png;base64,${png} ${long("is the image ")}`],
    ["prose behind many line ends", long("Ab\\nCd\\n")],
    ["short texts of letters alone", `${long('AbCd"},{"content":"')}`],
  ])("%s", (_name, content) => {
    const { messages } = JSON.parse(chat(content)) as { messages: { content: string }[] };
    const bytes = messages.reduce((sum, each) => sum + Buffer.byteLength(each.content), 0);
    for (const piece of [1 << 20, 1000, 37])
      expect(
        reserved("/v1/chat/completions", chat(content), "application/json", piece),
      ).toBeGreaterThanOrEqual(Math.floor(bytes / 4));
  });

  it("and the same text the same, however it is spelled", () => {
    expect(reserved("/v1/chat/completions", chat(escaped(chinese)))).toBe(
      reserved("/v1/chat/completions", chat(chinese)),
    );
  });
});

describe("a request that is left in the midst of its body", () => {
  const left = (text: string) => {
    const { worker } = tokenProxy();
    const exchange = ask(worker, { "x-tenant-id": "acme", "content-length": "9000000" });
    exchange.requestBody(Buffer.from(text), false);
    exchange.end();
    const headers = ask(worker, { "x-tenant-id": "acme" }).responseHeaders(
      [[":status", "500"]],
      true,
    );
    return 60_000 - Number(Object.fromEntries(headers)["x-ratelimit-remaining-tokens"]);
  };
  it("pays for the text that came, and a token for each KiB of what is no text", () => {
    const begun = '{"max_tokens":1,"messages":[{"content":"';
    expect(left(begun + "some words ".repeat(1000))).toBeGreaterThanOrEqual(2750);
    expect(left(begun + png.repeat(500))).toBeLessThan(64);
  });
});

it("a prompt in numbers costs a token for each", () => {
  expect(
    reserved("/v1/completions", `{"max_tokens":1,"prompt":[${Array(1000).fill(7)}]}`),
  ).toBeGreaterThanOrEqual(1001);
});

it("a form costs the flat price, and what runs no model nothing", () => {
  const form = "x".repeat(100_000);
  for (const path of ["/v1/audio/transcriptions", "/v1/audio/translations"])
    expect(reserved(path, form, "multipart/form-data; boundary=x")).toBe(256);
  for (const path of ["/tokenize", "/v1/tokenize", "/detokenize"]) {
    const free = ask(tokenProxy().worker, { "x-tenant-id": "acme", ":path": path });
    expect(free.responseHeaders(json), path).toEqual(json);
  }
});
