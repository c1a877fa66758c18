import type { DescMessage } from "@bufbuild/protobuf";
import type { ErrorObject } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { InferenceRouteSchema } from "../../gen/weir/v1/route_pb.ts";
import type { Problem } from "../problem.ts";
import { withoutExcess } from "./excess.ts";
import { schemaOf } from "./schema.ts";

/** A document's shape is wrong in more ways than this: the rest is noise. */
const maxProblems = 100;

type Validator = ReturnType<typeof createValidator>;
const validators = new Map<string, Validator>();

/** Compiled on first use: most commands check no document. */
function createValidator(message: DescMessage) {
  const ajv = new Ajv2020({ allErrors: true, strict: false, verbose: true, allowUnionTypes: true });
  ajv.addKeyword({ keyword: "expects", schemaType: "string" });
  // Two decimals of 0.07 are not exact in binary: compare what is written, not what is stored.
  ajv.addKeyword({
    keyword: "decimals",
    type: "number",
    schemaType: "number",
    validate: (step: number, value: number) =>
      Math.abs(value / step - Math.round(value / step)) < 1e-7,
  });
  ajv.addKeyword({
    keyword: "oneMember",
    type: "object",
    schemaType: "array",
    validate: (names: string[], value: object) =>
      names.filter((name) => Object.hasOwn(value, name)).length === 1,
  });
  const schema = schemaOf(message);
  const validate = ajv.compile(schema);
  return (document: unknown): ErrorObject[] =>
    validate(withoutExcess(document, schema)) ? [] : (validate.errors ?? []);
}

/** What is wrong with the shape of a document: unknown and missing fields, types, limits. */
export function checkStructure(
  document: unknown,
  message: DescMessage = InferenceRouteSchema,
): Problem[] {
  return problemsOf(errorsOf(document, message));
}

/** The structure of a document, and the part of it whose meaning can still be checked. */
export interface Structure {
  problems: Problem[];
  /** Paths of the values that are wrong. */
  faults: string[];
  /** The document without them; undefined where a list or an object is wrong as a whole. */
  rest: unknown;
}

export function structureOf(
  document: unknown,
  message: DescMessage = InferenceRouteSchema,
): Structure {
  const errors = errorsOf(document, message);
  const faults = errors.map(faultyPath);
  // Every error counts here, however many are shown.
  const rest = errors.every(isLeaf) ? structuredClone(document) : undefined;
  if (rest !== undefined) for (const error of errors) removeFault(rest, error);
  return { problems: problemsOf(errors), faults, rest };
}

function errorsOf(document: unknown, message: DescMessage): ErrorObject[] {
  const validate = validators.get(message.typeName) ?? createValidator(message);
  validators.set(message.typeName, validate);
  return validate(document).filter((error) => error.keyword !== "propertyNames");
}

function problemsOf(errors: readonly ErrorObject[]): Problem[] {
  const unique = new Map<string, Problem>();
  for (const error of errors) {
    if (unique.size >= maxProblems) break;
    const problem = toProblem(error);
    unique.set(`${problem.path} ${problem.message}`, problem);
  }
  return [...unique.values()];
}

/** Whether an error is about one value, without which the others keep their meaning. */
function isLeaf({ data, keyword, propertyName }: ErrorObject): boolean {
  if (keyword === "additionalProperties" || keyword === "required") return true;
  return propertyName === undefined && (typeof data !== "object" || data === null);
}

/** The path that an error's problem names. */
function faultyPath({ instancePath, keyword, params }: ErrorObject): string {
  const path = dotted(instancePath);
  if (keyword === "additionalProperties") return join(path, String(params.additionalProperty));
  return keyword === "required" ? join(path, String(params.missingProperty)) : path;
}

function removeFault(document: unknown, error: ErrorObject): void {
  const steps = error.instancePath.split("/").slice(1).map(unescaped);
  if (error.keyword === "required") return;
  if (error.keyword === "additionalProperties")
    steps.push(String((error.params as { additionalProperty: string }).additionalProperty));
  const last = steps.pop();
  const parent = steps.reduce<unknown>(
    (at, step) => (at as Record<string, unknown> | undefined)?.[step],
    document,
  );
  // An element of a list keeps its place, or the paths of those behind it would be wrong.
  if (last !== undefined && typeof parent === "object" && parent && !Array.isArray(parent))
    delete (parent as Record<string, unknown>)[last];
}

function toProblem(error: ErrorObject): Problem {
  const path = dotted(error.instancePath);
  const parameters = error.params as Record<string, unknown>;
  const name = path.split(".").at(-1) ?? path;
  const given = show(error.data);
  const expects = (error.parentSchema as { expects?: string } | undefined)?.expects;
  const problem = (code: string, message: string, at = path): Problem => ({
    code,
    path: at,
    message,
  });
  switch (error.keyword) {
    case "additionalProperties": {
      const field = String(parameters.additionalProperty);
      const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
      const near = nearest(field, known);
      return problem(
        "unknown-field",
        `unknown field ${show(field)}${near ? `, did you mean "${near}"?` : `: known fields are ${known.join(", ")}`}`,
        join(path, field),
      );
    }
    case "required":
      return problem(
        "missing-field",
        `${String(parameters.missingProperty)} is required`,
        join(path, String(parameters.missingProperty)),
      );
    case "type":
      return problem("wrong-type", `${name} must be ${kind(parameters.type)}, not ${given}`);
    case "enum":
      return problem(
        "unknown-value",
        `${name} must be one of ${(parameters.allowedValues as string[]).join(", ")}, not ${given}`,
      );
    case "oneMember":
      return problem(
        "one-of",
        `${name} must have exactly one of ${(error.schema as string[]).join(", ")}`,
      );
    case "pattern":
      return problem(
        "bad-value",
        `${error.propertyName === undefined ? name : `the name ${show(error.propertyName)}`} must be ${expects ?? "well formed"}, not ${given}`,
      );
    case "decimals":
      return problem("too-precise", `${name} must have at most two decimals, not ${given}`);
    case "minimum":
      return problem(
        "out-of-range",
        `${name} must be at least ${String(parameters.limit)}, not ${given}`,
      );
    case "maximum":
      return problem(
        "out-of-range",
        `${name} must be at most ${String(parameters.limit)}, not ${given}`,
      );
    case "maxLength":
      return problem(
        "too-long",
        `${name} must have at most ${String(parameters.limit)} characters, not ${String(error.data).length}`,
      );
    case "minItems":
    case "minProperties":
    case "minLength":
      return problem("missing-field", `${name} must not be empty`);
    case "maxItems":
    case "maxProperties":
      return problem("too-many", `${name} must have at most ${String(parameters.limit)} entries`);
    default:
      return problem("bad-value", `${name} ${error.message ?? "is not right"}`);
  }
}

function dotted(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map(unescaped)
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : join(path, part)), "");
}

/** A step of a JSON pointer (RFC 6901, section 4). */
function unescaped(step: string): string {
  return step.replaceAll("~1", "/").replaceAll("~0", "~");
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function kind(type: unknown): string {
  const names: Record<string, string> = {
    object: "an object",
    array: "a list",
    string: "a string",
    number: "a number",
    integer: "a whole number",
    boolean: "true or false",
  };
  return [type]
    .flat()
    .map((each) => names[String(each)] ?? String(each))
    .join(" or ");
}

/** A value for a message: short, on one line. Long values may be secrets that landed in the wrong place. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 64 ? `a value of ${text.length} characters` : text;
}

/** The known name within two edits of the given one, if there is one. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((name) => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= 2)
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.name;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 3;
}
