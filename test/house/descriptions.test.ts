import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";

interface Schema {
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
}

/** Every field below a schema, by its path. */
function* fieldsOf(schema: Schema, path: string): Generator<[string, Schema]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield [`${path}.${name}`, field];
    yield* fieldsOf(field, `${path}.${name}`);
  }
  if (schema.items) yield* fieldsOf(schema.items, `${path}[]`);
  if (typeof schema.additionalProperties === "object")
    yield* fieldsOf(schema.additionalProperties, `${path}.*`);
}

/** The fields without a sentence that says what they do. */
function undescribed(schema: Schema, name: string): string[] {
  const fields = [...fieldsOf(schema, name)];
  expect(fields.length).toBeGreaterThan(10);
  return fields.filter(([, { description }]) => !isSentence(description)).map(([path]) => path);
}

/** What a limit adds to a description is no description. */
function isSentence(text = ""): boolean {
  return /^[A-Z"].*[.]$/.test(text) && !/^(Must be|Two decimals)/.test(text);
}

const cure =
  "write whole sentences above the field in proto/weir/v1, from a capital letter to a full stop; then npm run reference";

describe("every field is described", () => {
  const crds = parseAllDocuments(readFileSync("istio/chart/crds/crds.yaml", "utf8"), {
    version: "1.1",
  }).map((each) => each.toJS());

  it.each(crds.map((crd) => [crd.spec.names.kind as string, crd] as const))(
    "by kubectl explain: %s",
    (kind, crd) => {
      // The API server describes metadata itself, and refuses other words for it.
      const { metadata: _, ...properties } = crd.spec.versions[0].schema.openAPIV3Schema.properties;
      expect(undescribed({ properties }, kind), cure).toEqual([]);
    },
  );

  it("to editors, by the JSON Schema", () => {
    const schema = JSON.parse(readFileSync("schema/inference-route.schema.json", "utf8"));
    expect(undescribed(schema, "InferenceRoute"), cure).toEqual([]);
  });

  it("in the reference", () => {
    const rows = readFileSync("docs/reference/spec.md", "utf8")
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
    expect(rows.length).toBeGreaterThan(200);
    const bare = rows.filter(([, , , , meaning]) => !isSentence(meaning));
    expect(
      bare.map(([, name]) => name),
      cure,
    ).toEqual([]);
  });
});
