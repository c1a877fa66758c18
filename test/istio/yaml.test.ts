import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Manifest, renderIstio, toYaml } from "../../control/istio/index.ts";
import { statesOf } from "./render-file.ts";

const odd = [
  ..."yes no on off y n Y N true false null ~ Null TRUE .inf -.inf .nan NaN = << - ? : # , [ ] { } & * ! | > % @ `".split(
    " ",
  ),
  ..."0 1 -1 +1 0x1 0o17 017 1e3 1E3 1.5 .5 5. 1_000 12:30:45 2024-01-01 0b1 6s 6.s .6s 1e3s".split(
    " ",
  ),
  "",
  " ",
  "a: b",
  "a #b",
  "- a",
  "a:",
  ":a",
  "a,b",
  "'a'",
  '"a"',
  "a\\b",
  " a",
  "a ",
  "a\nb",
  "a\r\nb",
  "a\tb",
  "\u0000\u0001\u001b\u007f\u0080\u0085\u00a0\u2028\u2029\ufeff\ufffd",
  "😀",
  "---",
  "...",
  "file:///etc/weir/weir.wasm",
  "sha256:0e1",
];

function manifest(spec: Manifest["object"]["spec"]): Manifest {
  const metadata = { name: "a", namespace: "b", labels: {}, annotations: {} };
  return { object: { apiVersion: "v1", kind: "Odd", metadata, spec }, origins: [] };
}

describe("toYaml", () => {
  test.each(["1.1", "1.2"] as const)("a YAML %s reader gets back what went in", (version) => {
    const values = Object.fromEntries(odd.map((text) => [text, text]));
    const given = manifest({
      values,
      list: odd,
      lists: [[], [[]], [["a", ["b"]], "c"], [{}], [{ a: [{ b: 1 }] }]],
      numbers: [0, -1, 1.5, 1e21, 1e-7, 123456789012],
      others: [true, false, null, {}, { a: {} }],
    });
    expect(parse(toYaml([given]), { version })).toEqual(given.object);
  });

  test("random text comes back too", () => {
    let seed = 42;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const alphabet = [...odd.join(""), ..."abcxyz019 \n"];
    const texts = Array.from({ length: 2000 }, () =>
      Array.from({ length: random(8) }, () => alphabet[random(alphabet.length)]).join(""),
    );
    const given = manifest({ texts, keys: Object.fromEntries(texts.map((text) => [text, 1])) });
    for (const version of ["1.1", "1.2"] as const) {
      expect(parse(toYaml([given]), { version, merge: false })).toEqual(given.object);
    }
  });

  test("a comment stays a comment, whatever is in it", () => {
    const given = manifest({ a: 1 });
    const text = toYaml([{ ...given, origins: [{ path: ["spec"], text: "x\ny: 1\u2028z" }] }]);
    expect(text).toContain("# x\n# y: 1\n# z\nspec:\n");
    expect(parse(text)).toEqual(given.object);
  });
});

describe("renderIstio", () => {
  const route = (name: string) => `
apiVersion: weir.dev/v1alpha1
kind: InferenceRoute
metadata: {name: ${name}, namespace: inference}
spec:
  hosts: [${name}.example.com]
  gateways: [istio-system/public]
  attach: {selector: {istio: ingressgateway}, namespace: istio-system}
  service: {name: ${name}, port: 8000}
  variants: [{name: a, weight: 60, labels: {v: a}}, {name: b, weight: 40, labels: {v: b}}]
  canary: {stickyBy: [{header: x-user-id}]}
`;

  test("the order of the routes does not change a byte", () => {
    const text = (...names: string[]) =>
      toYaml(renderIstio(statesOf(names.map(route).join("---"))).manifests);
    expect(text("c", "a", "b")).toBe(text("a", "b", "c"));
  });

  test("subsets and filters come before the matches on them", () => {
    const { manifests } = renderIstio(statesOf(["a", "b"].map(route).join("---")));
    expect(manifests.map(({ object }) => object.kind)).toEqual([
      "DestinationRule",
      "DestinationRule",
      "TrafficExtension",
      "VirtualService",
      "VirtualService",
    ]);
  });

  test.each([
    ["1.28", "WasmPlugin"],
    ["1.29.6", "WasmPlugin"],
    ["1.30", "TrafficExtension"],
    ["v1.31.0-rc.0", "TrafficExtension"],
    ["2.0", "TrafficExtension"],
  ])("istio %s gets a %s", (istioVersion, kind) => {
    const { manifests } = renderIstio(statesOf(route("a")), { istioVersion });
    expect(manifests[1]?.object.kind).toBe(kind);
  });

  test.each(["", "1", "latest", "1.30.x", "1.27.9", "0.99"])(
    'istio version "%s" is refused',
    (istioVersion) => {
      const { manifests, problems } = renderIstio(statesOf(route("a")), { istioVersion });
      expect(manifests).toEqual([]);
      expect(problems.map(({ code }) => code)).toEqual(["istio-version"]);
    },
  );
});
