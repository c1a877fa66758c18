import { beforeAll, describe, expect, it } from "vitest";
import { createModelReader, type ModelReader, type Outcome } from "./model-reader.ts";
import { inAllSplits } from "./splits.ts";

let reader: ModelReader;
beforeAll(() => {
  reader = createModelReader();
});

const type = "multipart/form-data; boundary=xYz-1";

/** What a form comes to, in whichever pieces it comes: the model as text, or the state. */
function read(body: string | Buffer, contentType = type): string {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const outcome = inAllSplits(reader, bytes, contentType);
  return typeof outcome === "string" ? outcome : `found ${outcome.model}`;
}

const disposition = (rest: string) => `Content-Disposition: form-data${rest}`;
const part = (data: string, ...lines: string[]) =>
  `--xYz-1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${data}\r\n`;
const field = (name: string, value: string) => part(value, disposition(`; name="${name}"`));
const file = (data: string) =>
  part(data, disposition('; name="file"; filename="a.wav"'), "Content-Type: audio/wav");
const form = (...parts: string[]) => `${parts.join("")}--xYz-1--\r\n`;
const model = field("model", "a");

describe("finds the field model", () => {
  it.each<[name: string, body: string, model: string]>([
    ["alone", form(model), "a"],
    ["before a file", form(model, file("RIFF")), "a"],
    ["behind a file", form(file("RIFF"), model), "a"],
    ["between fields", form(field("language", "en"), model, field("prompt", "")), "a"],
    ["without a line's end at the end", form(model).slice(0, -2), "a"],
    ["behind a file with lines", form(file("\r\n\r\na\r\n\rb\n--\r\n--xYz"), model), "a"],
    ["behind a file that nearly ends", form(file("\r\n--xYz-\r\n--xyz-1\r\n-xYz-1"), model), "a"],
    ["behind a file that begins nearly", form(file("--xYz-2--xYz-1"), model), "a"],
    ["behind a file that begins with a line", form(file("\r--xYz-1"), model), "a"],
    ["behind an empty file", form(file(""), model), "a"],
    ["behind a file with a field in it", form(file(field("model", "b").slice(4)), model), "a"],
    ["whose name has no quotes", form(part("a", "content-disposition:form-data;name=model")), "a"],
    [
      "whose header is in capitals",
      form(part("a", 'CONTENT-DISPOSITION: FORM-DATA; NAME="model"')),
      "a",
    ],
    [
      "with headers of its own",
      form(
        part(
          "a",
          "Content-Type: text/plain; charset=utf-8",
          "Content-Transfer-Encoding: 8bit",
          disposition('; name="model"'),
          "Content-Length: 1",
        ),
      ),
      "a",
    ],
    ["that is a name of a path", form(field("model", "openai/whisper-1")), "openai/whisper-1"],
    ["beyond ASCII", form(field("model", "\u6a21\u{1f680}")), "\u6a21\u{1f680}"],
    ["that begins like a boundary", form(field("model", "--xYz-")), "--xYz-"],
    ["with hyphens", form(field("model", "-")), "-"],
    ["of 256 bytes", form(field("model", "m".repeat(256))), "m".repeat(256)],
    ["beside names like it", form(field("models", "b"), model, field("model ", "c")), "a"],
    [
      "behind a file with all kinds of names",
      form(
        part(
          "x",
          disposition('; name="f"; filename="\u00e9;name=model.wav"; filename*=UTF-8\'\'%C3%A9'),
        ),
        model,
      ),
      "a",
    ],
    [
      "behind a file with a name of 255 letters",
      form(part("x", disposition(`; name="f"; filename*=UTF-8''${"%C3".repeat(255)}`)), model),
      "a",
    ],
  ])("%s", (_name, body, expected) => {
    expect(read(body)).toBe(`found ${expected}`);
  });
  it("behind a file of 8 MiB", () => {
    const body = Buffer.from(form(file("RIFF\r\n--xYz".repeat(800_000)), model));
    const pieces = Array.from({ length: Math.ceil(body.length / 16_000) }, (_, i) =>
      body.subarray(i * 16_000, (i + 1) * 16_000),
    );
    expect(reader.read(pieces, type)).toEqual({ model: Buffer.from("a") });
  });
});

it.each([form(), form(file("RIFF")), form(field("language", "en"), field("x", "model"))])(
  "finds none in %j",
  (body) => {
    expect(read(body)).toBe("ABSENT");
  },
);

describe("refuses", () => {
  it.each<[what: string, body: string, outcome: Outcome]>([
    ["two models", form(model, field("model", "b")), "TWICE"],
    ["the same model twice", form(model, file("x"), model), "TWICE"],
    ["a model in capitals", form(field("Model", "a")), "MISSPELLED"],
    ["a capital letter behind the model", form(model, field("MODEL", "b")), "MISSPELLED"],
    ["an empty model", form(field("model", "")), "EMPTY"],
    ["a model of 257 bytes", form(field("model", "m".repeat(257))), "TOO_LONG"],
    ["a model with a line's end", form(field("model", "a\r\nb")), "NOT_TEXT"],
    ["a model that ends in a line's end", form(field("model", "a\n")), "NOT_TEXT"],
    ["a model that nearly ends", form(field("model", "a\r\n--xYz-")), "NOT_TEXT"],
    ["a model with NUL", form(field("model", "a\u0000")), "NOT_TEXT"],
    [
      "a model that is a file",
      form(part("a", disposition('; name="model"; filename="a"'))),
      "NOT_TEXT",
    ],
    [
      "a model that is a file with an encoded name",
      form(part("a", disposition("; filename*=UTF-8''a; name=\"model\""))),
      "NOT_TEXT",
    ],
    [
      "a model that is quoted-printable",
      form(
        part("=61", disposition('; name="model"'), "Content-Transfer-Encoding: quoted-printable"),
      ),
      "NOT_TEXT",
    ],
    [
      "a model in base64",
      form(part("YQ==", "content-transfer-encoding: BASE64", disposition('; name="model"'))),
      "NOT_TEXT",
    ],
  ])("%s", (_name, body, outcome) => {
    expect(read(body)).toBe(outcome);
  });

  it.each([["ff"], ["e9"], ["c0af"], ["eda080"], ["e6a8"]])("a model of the bytes %s", (hex) => {
    const [before = "", behind = ""] = form(field("model", "|")).split("|");
    const body = [Buffer.from(before), Buffer.from(hex, "hex"), Buffer.from(behind)];
    expect(read(Buffer.concat(body))).toBe("NOT_TEXT");
  });

  it.each<[what: string, body: string]>([
    ["nothing", ""],
    ["no last boundary", model],
    ["half a last boundary", form(model).slice(0, -3)],
    ["a last boundary with half a line's end", form(model).slice(0, -1)],
    ["a form that ends in the headers", form(model).slice(0, 30)],
    ["something before the first boundary", `x\r\n${form(model)}`],
    ["a line's end before the first boundary", `\r\n${form(model)}`],
    ["something behind the last boundary", `${form(model)}x`],
    ["two forms", form(model) + form(field("model", "b"))],
    ["another boundary", form(model).replaceAll("xYz-1", "xYz-2")],
    ["a boundary in capitals", form(model).replaceAll("xYz-1", "XYZ-1")],
    ["lines without CR", form(model).replaceAll("\r", "")],
    ["lines without LF", form(model).replaceAll("\n", "")],
    ["a boundary with a space behind it", form(model).replace("xYz-1\r", "xYz-1 \r")],
    ["a boundary that goes on, in data", form(file("a\r\n--xYz-1x"), model)],
    ["a boundary before a line's end alone, in data", form(file("a\r\n--xYz-1\n"), model)],
    ["a boundary with one hyphen, in data", form(file("a\r\n--xYz-1-"), model)],
    ["data that begin with the boundary", form(part("--xYz-1", disposition("; name=f")), model)],
    ["a part without headers", form(part("a"), model)],
    ["a part without a name", form(part("a", disposition("")), model)],
    ["a part without a disposition", form(part("a", "Content-Type: text/plain"), model)],
    ["a part that is no form's", form(part("a", 'Content-Disposition: attachment; name="model"'))],
    ["two dispositions", form(part("a", disposition("; name=x"), disposition("; name=model")))],
    ["two names", form(part("a", disposition("; name=x; name=model")))],
    ["an encoded name", form(part("a", disposition("; name*=UTF-8''model")))],
    ["a name in pieces", form(part("a", disposition("; name*0=mo; name*1=del")))],
    ["a name with an escaped quote", form(part("a", disposition('; name="mod\\"el"')))],
    [
      "a file name with an escaped quote",
      form(part("a", disposition('; filename="a\\"; name=\\"model\\""; name="x"'))),
    ],
    ["a name that does not end", form(part("a", disposition('; name="model')))],
    ["something behind a name", form(part("a", disposition('; name="x"model')))],
    ["no semicolon", form(part("a", disposition(" name=model")))],
    ["two semicolons", form(part("a", disposition(";; name=model")))],
    ["a semicolon at the end", form(part("a", disposition("; name=model;")))],
    ["a space before the equals sign", form(part("a", disposition("; name =model")))],
    ["a space behind the equals sign", form(part("a", disposition("; name= model")))],
    ["no value", form(part("a", disposition("; name=")))],
    ["no equals sign", form(part("a", disposition("; name")))],
    ["a header over two lines", form(part("a", "Content-Disposition: form-data;", " name=model"))],
    ["a space before the colon", form(part("a", "Content-Disposition : form-data; name=model"))],
    ["a header without a colon", form(part("a", "x", disposition("; name=model")))],
    ["a header without a name", form(part("a", ": x", disposition("; name=model")))],
    ["a header with NUL", form(part("a", disposition("; name=model"), "x: \u0000"))],
    ["a header with LF", form(part("a", "x: y\nz: 1", disposition("; name=model")))],
    ["a header with CR", form(part("a", "x: y\rz: 1", disposition("; name=model")))],
    ["a header of 1,201 bytes", form(part("a", `x:${"y".repeat(1199)}`, disposition("; name=f")))],
  ])("%s", (_name, body) => {
    expect(read(body)).toBe("BROKEN");
  });
});

describe("the boundary in the Content-Type", () => {
  const with70 = "b".repeat(70);
  it.each<[contentType: string, boundary: string]>([
    ["multipart/form-data; boundary=xYz", "xYz"],
    ['multipart/form-data; boundary="xYz"', "xYz"],
    ['multipart/form-data;boundary="a=b/c:d?(e),f"', "a=b/c:d?(e),f"],
    ["Multipart/Form-Data; BOUNDARY=xYz", "xYz"],
    ["multipart/form-data; charset=UTF-8; boundary=xYz", "xYz"],
    ["multipart/form-data; boundary=----WebKitFormBoundary7MA4", "----WebKitFormBoundary7MA4"],
    [`multipart/form-data; boundary=${with70}`, with70],
  ])("%s", (contentType, boundary) => {
    expect(read(form(model).replaceAll("xYz-1", boundary), contentType)).toBe("found a");
  });
  it.each([
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary=""',
    "multipart/form-data; boundary=xYz-1; boundary=x",
    "multipart/form-data; boundary=xYz-1; charset=utf-16",
    "multipart/form-data; boundary*=UTF-8''xYz-1",
    "multipart/form-data; boundary=xYz-1; boundary*0=x",
    'multipart/form-data; boundary="xYz-1',
    'multipart/form-data; boundary="xYz\\-1"',
    "multipart/form-data boundary=xYz-1",
    "multipart/form-data, boundary=xYz-1",
    "multipart/mixed; boundary=xYz-1",
    "application/json",
    "",
    `multipart/form-data; boundary=${"x".repeat(71)}`,
  ])("is none in %j", (contentType) => {
    expect(read(form(model), contentType)).toBe("BROKEN");
  });
});

it("takes forms with a boundary like curl's, fields first or last", () => {
  const long = "------------------------d74496d66958873e";
  const bodies = [
    form(file("RIFF"), model).replaceAll("--xYz-1", `--${long}`),
    form(
      model,
      field("response_format", "json"),
      field("timestamp_granularities[]", "word"),
      file("x"),
    ).replaceAll("--xYz-1", `--${long}`),
  ];
  for (const body of bodies)
    expect(read(body, `multipart/form-data; boundary=${long}`)).toBe("found a");
});
