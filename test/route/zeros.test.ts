import {
  type DescMessage,
  fromJson,
  getOption,
  hasOption,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { limit } from "../../control/gen/weir/v1/constraints_pb.ts";
import { RolloutSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { parseRoute } from "../../control/route/index.ts";
import { exampleRoute } from "./documents.ts";

// Protobuf does not write a zero of a field without presence: a document must mean the same
// whether it is read from a file or came over the wire.

const numbers = [ScalarType.DOUBLE, ScalarType.UINT32, ScalarType.UINT64];

/** Paths of the numbers of a route, with a step for each list and map. */
function numbersOf(message: DescMessage, before: string[] = []): string[][] {
  return message.fields.flatMap((field) => {
    if (field.fieldKind === "scalar")
      return numbers.includes(field.scalar) ? [[...before, field.jsonName]] : [];
    const below = field.message;
    if (below === undefined || below.typeName.startsWith("google.")) return [];
    const step = field.fieldKind === "list" ? "0" : field.fieldKind === "map" ? "gold" : undefined;
    return numbersOf(below, [...before, field.jsonName, ...(step === undefined ? [] : [step])]);
  });
}

/** The example with a value at a path, what is on the way made where it is missing. */
function withValue(path: string[], value: unknown): any {
  const document: any = toJson(InferenceRouteSchema, exampleRoute());
  const [last = ""] = path.slice(-1);
  let at = document;
  path.slice(0, -1).forEach((step, i) => {
    at[step] ??= path[i + 1] === "0" ? [] : {};
    at = at[step];
  });
  at[last] = value;
  return document;
}

/** What is said of the field itself. */
function problemsAt(document: unknown, path: string[]): string[] {
  const dotted = path.reduce((all, step) =>
    /^\d+$/.test(step) ? `${all}[${step}]` : `${all}.${step}`,
  );
  return parseRoute(document as never)
    .problems.filter((problem) => problem.path === dotted)
    .map(({ message }) => message);
}

const paths = numbersOf(InferenceRouteSchema);

it("is asked of all numbers of a route", () => {
  expect(paths.length).toBeGreaterThan(45);
  expect(paths.map((path) => path.join("."))).toContain(
    "spec.rateLimit.tiers.gold.requestsPerSecond",
  );
});

it.each(paths.map((path) => [path.join("."), path] as const))(
  "%s: a zero is the same in a file and over the wire",
  (_name, path) => {
    const document = withValue(path, 0);
    const wired = toJson(InferenceRouteSchema, fromJson(InferenceRouteSchema, document));
    const here = problemsAt(document, path);
    const there = problemsAt(wired, path);
    expect(there.length > 0, `${here} | ${there}`).toBe(here.length > 0);
  },
);

it("no number that may be zero is required, for it would seem to be missing", () => {
  const walk = (message: DescMessage): string[] =>
    message.fields.flatMap((field) => {
      const found = hasOption(field, limit) ? getOption(field, limit) : undefined;
      const isNumber = field.fieldKind === "scalar" && numbers.includes(field.scalar);
      const own =
        isNumber &&
        field.presence === FeatureSet_FieldPresence.IMPLICIT &&
        found?.required &&
        !((found.min ?? 0) > 0)
          ? [`${message.name}.${field.name}`]
          : [];
      const below = field.message;
      return [...own, ...(below && !below.typeName.startsWith("google.") ? walk(below) : [])];
    });
  expect([...new Set([InferenceRouteSchema, RolloutSchema].flatMap(walk))]).toEqual([]);
});
