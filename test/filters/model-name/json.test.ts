import { beforeAll, describe, expect, it } from "vitest";
import { createModelReader, type ModelReader, type Outcome } from "./model-reader.ts";
import { inAllSplits } from "./splits.ts";

let reader: ModelReader;
beforeAll(() => {
  reader = createModelReader();
});

/** What a body comes to, in whichever pieces it comes: the model as text, or the state. */
function read(body: string | Buffer): string {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const outcome = inAllSplits(reader, bytes);
  return typeof outcome === "string" ? outcome : `found ${outcome.model}`;
}

const long = (bytes: number) => "m".repeat(bytes);
const deep = (levels: number, value = "1") =>
  `${'{"a":['.repeat(levels)}${value}${"]}".repeat(levels)}`;

describe("finds the model of the root", () => {
  it.each<[name: string, body: string, model: string]>([
    ["alone", '{"model":"a"}', "a"],
    ["first", '{"model":"a","messages":[{"role":"user","content":"hi"}]}', "a"],
    ["last", '{"messages":[{"role":"user","content":"hi"}],"stream":true,"model":"a"}', "a"],
    ["with spaces everywhere", ' \r\n\t{ "x" : [ ] , "model"\t:\n"a" } \n', "a"],
    ["behind a byte order mark", '\ufeff{"model":"a"}', "a"],
    ["beside a nested one before it", '{"metadata":{"model":"b"},"model":"a"}', "a"],
    ["beside a nested one behind it", '{"model":"a","tools":[{"model":"b"},[{"model":"c"}]]}', "a"],
    ["beside a text that looks like one", '{"x":"\\"model\\":\\"b\\",","model":"a"}', "a"],
    ["beside keys that begin like it", '{"models":"b","mode":"c","model":"a","model ":"d"}', "a"],
    ["beside a key of NUL behind it", '{"model\\u0000":"b","model":"a"}', "a"],
    ["beside a key of half a pair", '{"model\\ud800":"b","\\udc00model":"c","model":"a"}', "a"],
    ["beside keys that look like it", '{"m\u043edel":"b","model\u200b":"c","model":"a"}', "a"],
    ["beside empty keys and texts", '{"":"","model":"a","":""}', "a"],
    ["whose key has escapes", '{"\\u006dod\\u0065l":"a"}', "a"],
    ["whose key is escapes alone", '{"\\u006d\\u006F\\u0064\\u0065\\u006C":"a"}', "a"],
    ["with escapes of one letter", '{"model":"a\\/b\\"c\\\\d"}', 'a/b"c\\d'],
    ["with escapes of each length", '{"model":"\\u0061\\u00e9\\u6a21"}', "a\u00e9\u6a21"],
    ["with a pair of surrogates", '{"model":"\\ud83d\\uDE80"}', "\u{1f680}"],
    ["beyond ASCII", '{"model":"\u00e9\u6a21\u{1f680}"}', "\u00e9\u6a21\u{1f680}"],
    ["of a normal form as it is", '{"model":"e\\u0301"}', "e\u0301"],
    ["with a space at each end", '{"model":" a "}', " a "],
    ["of 256 bytes", `{"model":"${long(256)}"}`, long(256)],
    [
      "of 256 bytes, the last of an escape",
      `{"model":"${long(253)}\\u6a21"}`,
      `${long(253)}\u6a21`,
    ],
    [
      "behind all kinds of numbers",
      '{"x":[0,-0,10,1.5,-0.25,1e5,1E+5,2.5e-3,0e0],"y":7,"model":"a"}',
      "a",
    ],
    ["behind all words", '{"x":[true,false,null,NaN,Infinity,-Infinity],"y":NaN,"model":"a"}', "a"],
    ["behind empty objects and arrays", '{"x":{},"y":[],"z":[[],{}],"model":"a"}', "a"],
    ["behind all letters of escapes", '{"x":"\\b\\f\\n\\r\\t\\/\\\\\\"","model":"a"}', "a"],
    ["behind half a pair in a text", '{"x":"\\ud83d","y":"\\ude80","model":"a"}', "a"],
    ["behind DEL in a text", '{"x":"\u007f","model":"a"}', "a"],
    ["behind a number of 4,300 digits", `{"x":${"9".repeat(4300)},"model":"a"}`, "a"],
    ["named as what JavaScript has", '{"__proto__":{"model":"b"},"model":"a"}', "a"],
  ])("%s", (_name, body, model) => {
    expect(read(body)).toBe(`found ${model}`);
  });
  it("behind 511 more levels", () => {
    const body = Buffer.from(`{"x":${"[".repeat(511)}${"]".repeat(511)},"model":"a"}`);
    expect(reader.read([body])).toEqual({ model: Buffer.from("a") });
  });
});

it.each(["{}", " {} ", '{"messages":[]}', '{"x":{"model":"a"}}', '{"x":"model"}', deep(3)])(
  "finds none in %s",
  (body) => {
    expect(read(body)).toBe("ABSENT");
  },
);

describe("refuses", () => {
  it.each<[what: string, body: string, outcome: Outcome]>([
    ["two models", '{"model":"a","model":"b"}', "TWICE"],
    ["the same model twice", '{"model":"a","x":1,"model":"a"}', "TWICE"],
    ["a second one of another kind", '{"model":"a","model":null}', "TWICE"],
    ["a second one in escapes", '{"model":"a","mode\\u006c":"b"}', "TWICE"],
    ["a model in capitals", '{"MODEL":"a"}', "MISSPELLED"],
    ["a capital letter behind the model", '{"model":"a","Model":"b"}', "MISSPELLED"],
    ["a capital letter before the model", '{"modeL":1,"model":"b"}', "MISSPELLED"],
    ["a capital letter in escapes", '{"\\u004dodel":"a"}', "MISSPELLED"],
    ["an empty model", '{"model":""}', "EMPTY"],
    ["a model of 257 bytes", `{"model":"${long(257)}"}`, "TOO_LONG"],
    ["a model of 257 bytes in escapes", `{"model":"${long(255)}\\u00e9"}`, "TOO_LONG"],
    ["a model of 260 bytes at the last", `{"model":"${long(256)}\\ud83d\\ude80"}`, "TOO_LONG"],
    ["a model that is a number", '{"model":7}', "NOT_TEXT"],
    ["a model that is null", '{"model":null}', "NOT_TEXT"],
    ["a model that is true", '{"model":true}', "NOT_TEXT"],
    ["a model that is NaN", '{"model":NaN}', "NOT_TEXT"],
    ["a model that is an object", '{"model":{"id":"a"}}', "NOT_TEXT"],
    ["a model that is an array", '{"model":["a"]}', "NOT_TEXT"],
    ["a model that ends in half a pair", '{"model":"a\\ud83d"}', "NOT_TEXT"],
    ["a model with half a pair before a letter", '{"model":"\\ud83dx"}', "NOT_TEXT"],
    ["a model with half a pair before an escape", '{"model":"\\ud83d\\n"}', "NOT_TEXT"],
    ["a model with two first halves", '{"model":"\\ud83d\\ud83d\\ude80"}', "NOT_TEXT"],
    ["a model with a second half alone", '{"model":"\\ude80"}', "NOT_TEXT"],
    ["a model with NUL", '{"model":"a\\u0000"}', "NOT_TEXT"],
    ["a model with a line's end", '{"model":"a\\r\\nx-tenant-id: b"}', "NOT_TEXT"],
    ["a model with DEL", '{"model":"a\u007f"}', "NOT_TEXT"],
    ["513 levels", `{"x":${"[".repeat(512)}`, "TOO_DEEP"],
    ["513 objects", '{"x":'.repeat(513), "TOO_DEEP"],
  ])("%s", (_name, body, outcome) => {
    expect(read(body)).toBe(outcome);
  });

  it.each<[what: string, body: string | Buffer]>([
    ["nothing", ""],
    ["spaces", " \n"],
    ["a text", '"model"'],
    ["an array", '[{"model":"a"}]'],
    ["a number", "7"],
    ["null", "null"],
    ["an object that does not end", '{"model":"a"'],
    ["an object that ends in a text", '{"model":"a","x":"'],
    ["an object that ends in an escape", '{"model":"a","x":"\\'],
    ["an object that ends in a key", '{"model":"a","x'],
    ["an object that ends behind a key", '{"model":"a","x"'],
    ["an object that ends in a number", '{"model":"a","x":1'],
    ["something behind the object", '{"model":"a"}x'],
    ["two objects", '{"model":"a"}{"model":"b"}'],
    ["two objects in lines", '{"model":"a"}\n{"model":"b"}'],
    ["NUL behind the object", '{"model":"a"}\u0000'],
    ["a comma at the end", '{"model":"a",}'],
    ["a comma at the beginning", '{,"model":"a"}'],
    ["two commas", '{"x":1,,"model":"a"}'],
    ["no comma", '{"x":1 "model":"a"}'],
    ["no colon", '{"model" "a"}'],
    ["two colons", '{"model"::"a"}'],
    ["no value", '{"x":,"model":"a"}'],
    ["a key without quotes", '{model:"a"}'],
    ["a key in apostrophes", "{'model':'a'}"],
    ["a key that is a number", '{1:2,"model":"a"}'],
    ["a comment", '{/**/"model":"a"}'],
    ["a line of comment", '{"model":"a"}//'],
    ["an array that ends as an object", '{"x":[1},"model":"a"}'],
    ["an object that ends as an array", '{"x":{"y":1],"model":"a"}'],
    ["a comma at the end of an array", '{"x":[1,],"model":"a"}'],
    ["a member in an array", '{"x":["y":1],"model":"a"}'],
    ["a zero before a number", '{"x":01,"model":"a"}'],
    ["a plus before a number", '{"x":+1,"model":"a"}'],
    ["a point at a number's end", '{"x":1.,"model":"a"}'],
    ["a point at a number's beginning", '{"x":.5,"model":"a"}'],
    ["a number with two points", '{"x":1.2.3,"model":"a"}'],
    ["an exponent without digits", '{"x":1e,"model":"a"}'],
    ["an exponent with a sign alone", '{"x":1e+,"model":"a"}'],
    ["two exponents", '{"x":1e2e3,"model":"a"}'],
    ["a sign alone", '{"x":-,"model":"a"}'],
    ["a hexadecimal number", '{"x":0x10,"model":"a"}'],
    ["minus NaN", '{"x":-NaN,"model":"a"}'],
    ["a word of its own", '{"x":undefined,"model":"a"}'],
    ["a word in capitals", '{"x":True,"model":"a"}'],
    ["a word that goes on", '{"x":nulll,"model":"a"}'],
    ["a word that ends early", '{"x":tru,"model":"a"}'],
    ["a number of 4,301 digits", `{"x":${"9".repeat(4301)},"model":"a"}`],
    ["a line's end in a text", '{"x":"a\nb","model":"a"}'],
    ["a tab in the model", '{"model":"a\tb"}'],
    ["NUL in a text", '{"x":"\u0000","model":"a"}'],
    ["an escape that is none", '{"x":"\\x","model":"a"}'],
    ["an escape of an apostrophe", '{"x":"\\\'","model":"a"}'],
    ["an escape in capitals", '{"x":"\\U0041","model":"a"}'],
    ["an escape of three digits", '{"x":"\\u004","model":"a"}'],
    ["an escape with a sign", '{"x":"\\u+041","model":"a"}'],
    ["a line's end in a key", '{"mod\nel":"a"}'],
    ["a space without a name", '{\u00a0"model":"a"}'],
    ["a vertical tab between", '{\u000b"model":"a"}'],
    ["two byte order marks", '\ufeff\ufeff{"model":"a"}'],
    ["a byte order mark behind a space", ' \ufeff{"model":"a"}'],
    ["half a byte order mark", Buffer.from('\xef\xbb{"model":"a"}', "latin1")],
    ["a byte order mark alone", "\ufeff"],
    ["UTF-16", Buffer.from('{"model":"a"}', "utf16le")],
    ["UTF-16 with its mark", Buffer.from('\ufeff{"model":"a"}', "utf16le")],
    ["UTF-16 in the other order", Buffer.from('{"model":"a"}', "utf16le").swap16()],
    ["UTF-32", Buffer.from([...'{"model":"a"}'].flatMap((c) => [c.charCodeAt(0), 0, 0, 0]))],
    ["gzip", Buffer.from("1f8b0800", "hex")],
  ])("%s", (_name, body) => {
    expect(read(body)).toBe("BROKEN");
  });

  describe("what is not UTF-8", () => {
    const bad: [what: string, hex: string][] = [
      ["a continuation alone", "80"],
      ["a letter of Latin-1", "e9"],
      ["an overlong slash", "c0af"],
      ["an overlong form of three", "e08080"],
      ["an overlong form of four", "f0808080"],
      ["a surrogate", "eda080"],
      ["a pair of surrogates", "eda0bdeeba80"],
      ["what is beyond Unicode", "f4908080"],
      ["a lead byte of five", "f888808080"],
      ["a character that is cut", "e6a8"],
      ["a character that is cut by another", "e6c3a9"],
      ["0xff", "ff"],
    ];
    const filler = "\u6a21 and more than eight bytes of it";
    it.each(bad)("%s", (_what, hex) => {
      const around = (before: string, behind: string) =>
        Buffer.concat([Buffer.from(before), Buffer.from(hex, "hex"), Buffer.from(behind)]);
      expect(read(around('{"model":"', '"}'))).toBe("BROKEN");
      expect(read(around('{"model":"a","', '":1}'))).toBe("BROKEN");
      expect(read(around(`{"x":"${filler}`, `${filler}","model":"a"}`))).toBe("BROKEN");
      expect(read(around('{"x":{"', '":1},"model":"a"}'))).toBe("BROKEN");
    });
  });
});

describe("takes the bodies of clients as they are", () => {
  const bodies: Record<string, object> = {
    "chat of OpenAI's": {
      messages: [
        { role: "system", content: "You are \u201chelpful\u201d.\n" },
        { role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] },
      ],
      model: "meta-llama/Llama-3.1-8B-Instruct",
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.7,
      tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
    },
    "the Responses API": { model: "gpt-oss:20b", input: [{ role: "user", content: "hi" }] },
    "messages of Anthropic's": {
      model: "claude-sonnet-4-5@20250929",
      max_tokens: 1024,
      system: [{ type: "text", text: "x", cache_control: { type: "ephemeral" } }],
      messages: [{ role: "user", content: "\u4f60\u597d" }],
      metadata: { user_id: "u" },
    },
    "Ollama's chat": { model: "llama3.2:1b", messages: [], options: { num_ctx: 4096 } },
    embeddings: { input: [[1, 2, 3], [4]], model: "BAAI/bge-m3", encoding_format: "base64" },
  };
  it.each(Object.entries(bodies))("%s", (_name, body) => {
    const { model } = body as { model: string };
    const escaped = JSON.stringify(body).replaceAll(
      /[^ -~]/g,
      (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
    for (const text of [JSON.stringify(body), JSON.stringify(body, null, 2), escaped])
      expect(read(text)).toBe(`found ${model}`);
  });
});
