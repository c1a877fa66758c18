import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { editorSchema } from "../../control/route/document/editor-schema.ts";

const published = "../../schema/inference-route.schema.json";

const routes = ["examples", "test/istio/golden"].flatMap((dir) =>
  readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${dir}/${name}/route.yaml`),
);

describe("the editor's schema", () => {
  it("is published as the protos say; npm run reference writes it anew", async () => {
    await expect(`${JSON.stringify(editorSchema(), null, 2)}\n`).toMatchFileSnapshot(published);
  });

  const validate = new Ajv2020({ strictRequired: false, allowUnionTypes: true }).compile(
    editorSchema(),
  );

  it.each(routes)("takes %s", (file) => {
    const documents = parseAllDocuments(readFileSync(file, "utf8"));
    for (const document of Array.isArray(documents) ? documents : []) {
      expect(validate(document.toJS()), JSON.stringify(validate.errors)).toBe(true);
    }
  });

  it.each([
    ["an unknown field", { timout: "1s" }],
    ["a duration without a unit", { timeout: "1" }],
    ["a weight beyond its limit", { outlier: { maxEjectionPercent: 101 } }],
    ["two keys to hash", { balance: { hash: { header: "x", sourceIp: true } } }],
  ])("refuses %s", (_name, resilience) => {
    const [good] = parseAllDocuments(readFileSync("examples/canary/route.yaml", "utf8"));
    const route = good?.toJS() as { spec: { resilience?: object } };
    expect(validate(route)).toBe(true);
    route.spec.resilience = resilience;
    expect(validate(route)).toBe(false);
  });
});
