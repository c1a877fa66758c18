import { expect, test } from "vitest";
import { stringify } from "yaml";
import { customResources } from "../../control/controller/index.ts";

// Kubernetes reads YAML 1.1, where a bare "on" is a boolean.
const options = { lineWidth: 0, aliasDuplicateObjects: false, version: "1.1" } as const;

test("the CRDs that are installed are what the protos say; npm run reference writes them anew", async () => {
  const text = customResources()
    .map((each) => stringify(each, options))
    .join("---\n");
  await expect(text).toMatchFileSnapshot("../../istio/chart/crds/crds.yaml");
});

// kubectl apply keeps the whole object in an annotation, and all annotations of an object may have 256 KiB.
test("kubectl apply takes each CRD with room to spare", () => {
  const sizes = customResources().map((each) => JSON.stringify(each).length);
  expect(Math.max(...sizes)).toBeLessThan(128 << 10);
});
