import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonWith } from "../../python.ts";
import { generator } from "../../random.ts";
import { createModelReader, type ModelReader, type Outcome } from "../model-name/model-reader.ts";
import { formMaker, jsonMaker } from "./hostile-bodies.ts";
import { type LineProgram, startLineProgram } from "./line-program.ts";

// Bodies that nobody would think of: whatever the filter finds in one, servers find in it too.
// Where it refuses, they never see the body.

const total = Number(process.env.WEIR_BODIES ?? (process.env.WEIR_LONG ? 5_000_000 : 20_000));
/** Another one gives other bodies: runs beside each other add up. */
const seed = Number(process.env.WEIR_BODIES_SEED ?? 20261201);
const batch = 1000;
const limitMs = 14_400_000;

/** The members whose name is "model" in any size, with their value as hexadecimal UTF-8; null where a body is refused. */
type Seen = [name: string, hex: string | null][];

let servers: LineProgram;
let reader: ModelReader;
beforeAll(() => {
  const packages = ["starlette==1.10.0", "python-multipart==0.0.34"];
  const script = new URL("models.py", import.meta.url).pathname;
  servers = startLineProgram(pythonWith("starlette", packages), [script]);
  reader = createModelReader();
}, 300_000);
afterAll(() => servers?.stop());

/** What the filter says of a body that comes in a few pieces. */
function read(random: () => number, body: Buffer, contentType?: string): Outcome {
  const cuts = Array.from({ length: Math.floor(random() * 4) }, () =>
    Math.floor(random() * (body.length + 1)),
  ).sort((a, b) => a - b);
  const pieces = [...cuts, body.length].map((end, i) => body.subarray(cuts[i - 1] ?? 0, end));
  return reader.read(pieces, contentType);
}

/** What servers must have seen of a body that the filter lets by. */
function expectedOf(outcome: Outcome): Seen | undefined {
  if (outcome === "ABSENT") return [];
  return typeof outcome === "string" ? undefined : [["model", outcome.model.toString("hex")]];
}

/** Compares so many bodies; returns how many the filter found a model in, and how many none. */
async function compare(
  count: number,
  make: () => { body: Buffer; contentType?: string },
  random: () => number,
  look: (body: Buffer, outcome: Outcome) => void = () => {},
) {
  let found = 0;
  let absent = 0;
  for (let done = 0; done < count; done += batch) {
    const bodies = Array.from({ length: batch }, make);
    const lines = bodies.map(({ body, contentType }) => {
      const kind = contentType === undefined ? "-" : Buffer.from(contentType).toString("hex");
      return `${contentType === undefined ? "json" : "form"} ${kind} ${body.toString("hex")}`;
    });
    const seen = await servers.answers<Seen | null>(lines);
    for (const [i, { body, contentType }] of bodies.entries()) {
      const outcome = read(random, body, contentType);
      const expected = expectedOf(outcome);
      if (expected === undefined) continue;
      if (expected.length > 0) found++;
      else absent++;
      const what = `${contentType ?? "json"} ${JSON.stringify(String(body))}`;
      expect(seen[i], what).toEqual(expected);
      look(body, outcome);
    }
  }
  return { found, absent };
}

it(
  "finds in JSON what Python finds, and JavaScript where it reads the body",
  async () => {
    const random = generator(seed);
    const make = jsonMaker(random);
    const looked = await compare(
      total,
      () => ({ body: make() }),
      random,
      (body, outcome) => {
        let root: { model?: unknown };
        try {
          root = JSON.parse(body.toString());
        } catch {
          return;
        }
        const model = typeof outcome === "string" ? undefined : outcome.model.toString();
        expect(root.model, String(body)).toEqual(model);
      },
    );
    expect(looked.found).toBeGreaterThan(total / 5);
    expect(looked.absent).toBeGreaterThan(total / 50);
  },
  limitMs,
);

it(
  "finds in forms what Starlette finds",
  async () => {
    const random = generator(seed + 1);
    const looked = await compare(total / 4, formMaker(random), random);
    expect(looked.found).toBeGreaterThan(total / 4 / 20);
    expect(looked.absent).toBeGreaterThan(total / 4 / 20);
  },
  limitMs,
);
