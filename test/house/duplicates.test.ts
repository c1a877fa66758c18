import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sourcesBelow } from "./sources.ts";

interface Idiom {
  what: string;
  /** What stands for it. */
  instead: string;
  pattern: RegExp;
  /** Where it is defined, and rooms that are told of no domain. */
  homes: string[];
}

/** What has stood in many files at once, and has one home now. */
const idioms: Idiom[] = [
  {
    what: "the text of an error",
    instead: "errorText or causeText of control/text",
    pattern: /instanceof Error\s*\?\s*\(?\s*\w+\.(?:message|cause)/,
    homes: ["control/text/error-text.ts"],
  },
  {
    what: "the beginning of a long text, and three dots",
    instead: "shorten of control/text",
    pattern: /\.slice\(0, [^)\n]*\)\}\.\.\./,
    homes: ["control/text/shorten.ts"],
  },
  {
    what: "the namespace of what names none",
    instead: "defaultNamespace or routeName of control/route, objectNamespace of control/objects",
    pattern: /namespace\b[^;\n]*"default"/i,
    // kubectl's own, of a context; and the page, which imports nothing of the service.
    homes: ["control/route/names.ts", "control/kube/config.ts", "control/web/static/data.js"],
  },
  {
    what: "the headers of shadow traffic, and of the variant",
    instead: "shadowHeaderNames and variantHeader of control/route",
    pattern: /["'`]x-(?:shadow-mode|traffic-tag|weir-variant)["'`]/,
    homes: [
      "control/route/shadow-headers.ts",
      "control/route/control-headers.ts",
      "control/pods/pod.ts",
    ],
  },
  {
    what: "the number of buckets",
    instead: "bucketCount of control/route",
    pattern: /(?:[!=]==?|[*/]|bucketCount =) 10_?000\b/,
    homes: ["control/route/weights.ts"],
  },
];

const texts = new Map(sourcesBelow("control").map((file) => [file, readFileSync(file, "utf8")]));

describe.each(idioms)("$what: $instead", ({ pattern, homes }) => {
  it("stands at home alone", () => {
    const found = [...texts].filter(([, text]) => pattern.test(text)).map(([file]) => file);
    expect(found.sort()).toEqual(homes.sort());
  });
});
