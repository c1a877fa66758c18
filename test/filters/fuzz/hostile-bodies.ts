// Bodies that are JSON or forms, or nearly so, with the model in odd places and spellings.

type Random = () => number;
const pickWith =
  (random: Random) =>
  <T>(list: readonly T[]): T =>
    list[Math.floor(random() * list.length)] as T;

/** A body of which some bytes are changed, left out, put in or doubled; most stay as they are. */
function spoil(random: Random, body: Buffer, odd: readonly string[]): Buffer {
  const pick = pickWith(random);
  const at = Math.floor(random() * (body.length + 1));
  const to = Math.min(body.length, at + 1 + Math.floor(random() * 8));
  const [before, behind] = [body.subarray(0, at), body.subarray(at)];
  const dice = random();
  if (dice < 0.7) return body;
  if (dice < 0.74) return before;
  if (dice < 0.78) return Buffer.concat([before, body.subarray(to)]);
  if (dice < 0.82) return Buffer.concat([before, body.subarray(at, to), behind]);
  if (dice < 0.92) return Buffer.concat([before, Buffer.from(pick(odd), "latin1"), behind]);
  const bytes = Buffer.from(body);
  if (at < bytes.length) bytes[at] = random() < 0.5 ? 0x20 + at : Math.floor(random() * 256);
  return bytes;
}

const hostileText = [
  "\\u0000",
  "\\ud83d\\ude80",
  "\\ud83d",
  "\\ude80",
  "\\n",
  '\\"',
  "\\\\",
  "\\/",
  "\u00e9",
  "\u6a21",
  "\u{1f680}",
  "\u007f",
  "\u200b",
  "\u2028",
  '\\"model\\":\\"b\\"',
  "}",
  "]",
  ",",
  ":",
  "model",
  "x".repeat(9),
  "words of a prompt, ",
];
const numbers = ["0", "-0", "10", "1.5", "-2e3", "1E+5", "0.1e-7", "123456789", "NaN", "-Infinity"];
const oddInJson = [
  ...['"', "\\", "{", "}", "[", "]", ",", ":", "\0", "\n", "\x1f", "\x7f", "\x80", "\xc3\xa9"],
  ...["\xe6\xa8\xa1", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\xef\xbb\xbf", "\xff", "01"],
  ...["1.", "1e", "-", "NaN", "nul", "true", "//", "'", "\\u00", "\\ud83d", "\\x", '"model":"b",'],
];

/** Makes JSON bodies. */
export function jsonMaker(random: Random): () => Buffer {
  const pick = pickWith(random);
  const space = () => (random() < 0.85 ? "" : pick([" ", "\n", "\t ", "\r\n"]));
  const list = (most: number, make: () => string) =>
    Array.from({ length: Math.floor(random() * (most + 1)) }, make);
  const text = () => `"${list(6, () => pick(hostileText)).join("")}"`;
  const spelled = (name: string): string => {
    const dice = random();
    if (dice < 0.8) return `"${name}"`;
    const at = Math.floor(random() * name.length);
    const code = name.charCodeAt(at).toString(16).padStart(4, "0");
    const [before, behind] = [name.slice(0, at), name.slice(at + 1)];
    if (dice < 0.92) return `"${before}\\u${pick([code, code.toUpperCase()])}${behind}"`;
    if (dice < 0.94) return `"${before}${name.charAt(at).toUpperCase()}${behind}"`;
    return `"${before}${pick(hostileText)}${pick([name.slice(at), behind])}"`;
  };
  const value = (depth: number): string => {
    const dice = random();
    if (dice < 0.4) return text();
    if (dice < 0.6) return pick(numbers);
    if (dice < 0.7) return pick(["true", "false", "null", "{}", "[]"]);
    if (depth > 5) return "1";
    if (dice < 0.85) return `[${list(4, () => space() + value(depth + 1) + space()).join(",")}]`;
    return object(depth + 1, pick([0, 1, 1, 2]));
  };
  const member = (name: string, depth: number) =>
    `${space()}${spelled(name)}${space()}:${space()}${
      name === "model" && random() < 0.9 ? pick(['"a"', '"llama3:8b"', text()]) : value(depth)
    }${space()}`;
  const object = (depth: number, models: number): string => {
    const names = [
      ...list(4, () => pick(["x", "messages", "models", "prompt", ""])),
      ...Array<string>(models).fill("model"),
    ].sort(() => random() - 0.5);
    return `{${names.map((name) => member(name, depth)).join(",")}}`;
  };
  return () => {
    const whole = `${space()}${object(0, pick([0, 1, 1, 1, 1, 1, 2]))}${space()}`;
    const dice = random();
    if (dice < 0.02) return Buffer.from(`\ufeff${whole}`);
    if (dice < 0.03) return Buffer.from(whole, "utf16le");
    if (dice < 0.04) return Buffer.from(`[${whole}]`);
    if (dice < 0.05) return Buffer.from(whole + pick([whole, "\0", "x", "\n{}"]));
    if (dice < 0.07) {
      const levels = pick([300, 505, 513, 700]);
      return Buffer.from(`{"x":${"[".repeat(levels)}${"]".repeat(levels)},"model":"a"}`);
    }
    return spoil(random, Buffer.from(whole), oddInJson);
  };
}

const oddInForms = [
  ...["\r", "\n", "\r\n", "\r\n\r\n", "-", "--", "--b1", "\r\n--b1", "\r\n--b1\r\n", "\r\n--b1--"],
  ...['"', "\\", ";", "=", " ", ":", "\0", "\t", "\xff", "\xe9", "\xc3\xa9", "name=model", "*"],
];

/** Makes forms, each with its Content-Type. */
export function formMaker(random: Random): () => { contentType: string; body: Buffer } {
  const pick = pickWith(random);
  const boundaries = ["b1", "----WebKitFormBoundary7MA4YWxk", "b", "--", "=_b'1"];
  const names = ["file", "language", "prompt", "models", "x;name=model"];
  const data = (boundary: string) =>
    pick([
      "a",
      "whisper-1",
      "",
      "RIFF\r\n\r",
      `--${boundary}`,
      `\r\n--${boundary}x`,
      "\u6a21",
      "x\r",
    ]);
  const disposition = (name: string) =>
    pick([
      ...Array<string>(40).fill(`Content-Disposition: form-data; name="${name}"`),
      `content-disposition:form-data;name=${name}`,
      `Content-Disposition: form-data; name="${name}"; filename="a.wav"`,
      `Content-Disposition: form-data; filename="a;name=model"; name="${name}"`,
      `Content-Disposition: form-data; filename*=UTF-8''a; NAME="${name}"`,
      `Content-Disposition: form-data; name*=UTF-8''${name}`,
      `Content-Disposition: form-data; name="${name}"; name=x`,
      `Content-Disposition: form-data; filename="a\\"; name="${name}"`,
      `Content-Disposition: form-data; name="${name}\\""`,
      `Content-Disposition: attachment; name="${name}"`,
      `Content-Disposition: form-data ; name = ${name}`,
    ]);
  const others = [
    "Content-Type: audio/wav",
    "Content-Transfer-Encoding: 8bit",
    "Content-Transfer-Encoding: quoted-printable",
    'Content-Disposition: form-data; name="model"',
    " folded",
  ];
  const part = (boundary: string, name: string) => {
    const lines = [disposition(name), ...(random() < 0.1 ? [pick(others)] : [])];
    if (random() < 0.3) lines.reverse();
    return `--${boundary}\r\n${lines.join("\r\n")}\r\n\r\n${data(boundary)}\r\n`;
  };
  return () => {
    const boundary = pick(boundaries);
    const asked = [
      ...Array.from({ length: Math.floor(random() * 3) }, () => pick(names)),
      ...pick([[], ["model"], ["model"], ["model"], ["model", "model"], ["model", "Model"]]),
    ].sort(() => random() - 0.5);
    const parts = asked.map((name) => part(boundary, name)).join("");
    const end = random() < 0.9 ? "\r\n" : pick(["", "x", "\r\n\r\n"]);
    const whole = Buffer.from(`${parts}--${boundary}--${end}`);
    const contentType = pick([
      ...Array<string>(5).fill(`multipart/form-data; boundary="${boundary}"`),
      `multipart/form-data; boundary=${boundary}`,
      `multipart/form-data; charset=utf-8; boundary=${boundary}`,
      `multipart/form-data; boundary="${boundary}"; charset=utf-16`,
    ]);
    return { contentType, body: spoil(random, whole, oddInForms) };
  };
}
