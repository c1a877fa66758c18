import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { without } from "../../needs.ts";
import { pythonWith } from "../../python.ts";
import { generator } from "../../random.ts";
import { createModelReader, type ModelReader, type Outcome } from "../model-name/model-reader.ts";
import { formMaker, jsonMaker } from "./hostile-bodies.ts";
import { type LineProgram, startLineProgram } from "./line-program.ts";

// Bodies that nobody would think of: whatever the filter finds in one, servers find in it too.
// Where it refuses, they never see the body.

const total = Number(process.env.WEIR_BODIES ?? (process.env.WEIR_LONG ? 5_000_000 : 20_000));
const forms = total / 4;
/** Another one gives other bodies: runs beside each other add up. */
const seed = Number(process.env.WEIR_BODIES_SEED ?? 20261201);
const batch = 1000;
const limitMs = 14_400_000;

/** The members whose name is "model" in any size, with their value as hexadecimal UTF-8. */
type Seen = [name: string, hex: string | null][];

/** What a server reads of a body; null where it refuses it. */
type Server = (bodies: readonly Body[]) => Promise<(Seen | null)[]>;

interface Body {
  body: Buffer;
  contentType?: string;
}

let reader: ModelReader;
beforeAll(() => {
  reader = createModelReader();
});

/** What the filter says of a body that comes in a few pieces. */
function read(random: () => number, { body, contentType }: Body): Outcome {
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

/** Asks a program, see models.py. */
function serverOf(program: LineProgram): Server {
  return (bodies) =>
    program.answers(
      bodies.map(({ body, contentType }) => {
        const kind = contentType === undefined ? "-" : Buffer.from(contentType).toString("hex");
        return `${contentType === undefined ? "json" : "form"} ${kind} ${body.toString("hex")}`;
      }),
    );
}

/** Compares so many bodies, some of which the filter must have let by. */
async function compare(
  server: Server,
  count: number,
  make: () => Body,
  random: () => number,
  mayRefuse: boolean,
): Promise<void> {
  const looked = { found: 0, absent: 0, refused: 0 };
  for (let done = 0; done < count; done += batch) {
    const bodies = Array.from({ length: batch }, make);
    const seen = await server(bodies);
    for (const [i, body] of bodies.entries()) {
      const expected = expectedOf(read(random, body));
      if (expected === undefined) continue;
      if (seen[i] === null && mayRefuse) {
        looked.refused++;
        continue;
      }
      looked[expected.length > 0 ? "found" : "absent"]++;
      const what = `${body.contentType ?? "JSON"}: ${JSON.stringify(String(body.body))}`;
      expect(seen[i], what).toEqual(expected);
    }
  }
  // Bodies that are let by are many enough to have tried it at all.
  expect(looked.found).toBeGreaterThan(count / 20);
  expect(looked.absent).toBeGreaterThan(count / 50);
  expect(looked.refused).toBeLessThan(count / 5);
}

const json = (from: number) => {
  const random = generator(from);
  const make = jsonMaker(random);
  return { random, make: () => ({ body: make() }) };
};
const form = (from: number) => {
  const random = generator(from);
  return { random, make: formMaker(random) };
};

it(
  "finds in JSON what JavaScript finds, where it reads the body",
  async () => {
    const { random, make } = json(seed);
    const node: Server = async (bodies) =>
      bodies.map(({ body }) => {
        try {
          const { model } = JSON.parse(body.toString());
          if (model === undefined) return [];
          return [["model", typeof model === "string" ? Buffer.from(model).toString("hex") : null]];
        } catch {
          return null;
        }
      });
    await compare(node, total, make, random, true);
  },
  limitMs,
);

describe("Python", () => {
  let program: LineProgram;
  beforeAll(() => {
    const packages = ["starlette==1.10.0", "python-multipart==0.0.34"];
    const script = new URL("models.py", import.meta.url).pathname;
    program = startLineProgram(pythonWith("starlette", packages), [script]);
  }, 300_000);
  afterAll(() => program?.stop());

  it(
    "finds in JSON what the filter finds, and reads every body that the filter lets by",
    async () => {
      const { random, make } = json(seed + 1);
      await compare(serverOf(program), total, make, random, false);
    },
    limitMs,
  );
  it(
    "finds in forms what the filter finds, and reads every form that the filter lets by",
    async () => {
      const { random, make } = form(seed + 2);
      await compare(serverOf(program), forms, make, random, false);
    },
    limitMs,
  );
});

describe.skipIf(without("go"))("Go", () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-models-"));
  let program: LineProgram;
  beforeAll(() => {
    const out = join(folder, "models");
    execFileSync("go", ["build", "-o", out, "test/filters/fuzz/models.go"], { stdio: "pipe" });
    program = startLineProgram(out);
  }, 300_000);
  afterAll(() => {
    program?.stop();
    rmSync(folder, { recursive: true });
  });

  it(
    "finds in JSON what the filter finds, where it reads the body",
    async () => {
      const { random, make } = json(seed + 3);
      await compare(serverOf(program), total, make, random, true);
    },
    limitMs,
  );
  it(
    "finds in forms what the filter finds, where it reads the form",
    async () => {
      const { random, make } = form(seed + 4);
      await compare(serverOf(program), forms, make, random, true);
    },
    limitMs,
  );
});
