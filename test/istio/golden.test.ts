import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toYaml } from "../../control/istio/index.ts";
import { examples, examplesOfPlainEnvoys, renderFolder } from "./render-file.ts";

describe("golden files; npx vitest run test/istio/golden.test.ts -u writes them anew", () => {
  for (const name of readdirSync("test/istio/golden")) {
    test(name, async () => {
      const { manifests, problems } = renderFolder(`test/istio/golden/${name}`);
      if (name.startsWith("refused-")) {
        expect(manifests).toEqual([]);
        const lines = problems.map(
          (each) => `${each.route} ${each.code} ${each.path}: ${each.message}\n`,
        );
        await expect(lines.join("")).toMatchFileSnapshot(`golden/${name}/problems.txt`);
      } else {
        expect(problems).toEqual([]);
        await expect(toYaml(manifests)).toMatchFileSnapshot(`golden/${name}/istio.yaml`);
      }
    });
  }
});

describe("examples; npx vitest run test/istio/golden.test.ts -u writes them anew", () => {
  for (const name of examples) {
    test(name, async () => {
      const { manifests, problems } = renderFolder(`examples/${name}`);
      expect(problems).toEqual([]);
      await expect(toYaml(manifests)).toMatchFileSnapshot(`../../examples/${name}/istio.yaml`);
    });
  }

  for (const [name, code] of Object.entries(examplesOfPlainEnvoys)) {
    test(`${name} is refused`, () => {
      const { manifests, problems } = renderFolder(`examples/${name}`);
      expect(manifests).toEqual([]);
      expect(problems.map(({ code }) => code)).toContain(code);
    });
  }
});
