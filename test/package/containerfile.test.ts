import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const lines = readFileSync("Containerfile", "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split(" ") as [string, ...string[]]);
const of = (word: string) => lines.filter(([first]) => first === word);
const last = lines.findLastIndex(([word]) => word === "FROM");
const final = lines.slice(last + 1);

it("the image is made in stages, and the last one only takes what it runs", () => {
  expect(of("FROM")).toHaveLength(2);
  expect(final.filter(([word]) => ["RUN", "ADD"].includes(word))).toEqual([]);
  const copied = final.filter(([word]) => word === "COPY");
  expect(copied.every(([, from]) => from === "--from=build")).toBe(true);
  const paths = copied.flatMap(([, , ...words]) => words.slice(0, -1));
  // What npm packs of what is built, and the packages without those that only a build needs.
  expect(paths.map((path) => path.replace("/weir/", ""))).toEqual([
    ...["package.json", "LICENSE", "node_modules", "dist", "build"],
  ]);
  const build = of("RUN").map((words) => words.slice(1).join(" "));
  expect(build).toEqual([
    "npm ci --ignore-scripts",
    "npm run build && npm prune --omit=dev --ignore-scripts",
  ]);
});

it("both stages have the same Node, of which there is long-term support, and the same Debian", () => {
  const [build = "", run = ""] = of("ARG").map(([, word = ""]) => word);
  expect(build).toBe("BUILD_IMAGE=docker.io/library/node:24-bookworm-slim");
  expect(run).toBe("RUN_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot");
});

it("it runs as no one, without a shell, and starts what the package starts", () => {
  const [, user] = final.find(([word]) => word === "USER") ?? [];
  expect(Number(user)).toBeGreaterThan(0);
  const [, ...command] = final.find(([word]) => word === "ENTRYPOINT") ?? [];
  const [node, main] = JSON.parse(command.join(" ")) as [string, string];
  expect(node).toBe("/nodejs/bin/node");
  expect(existsSync(main.replace("/weir/", ""))).toBe(true);
});

it("nothing that was made here, or is kept here, gets into the build", () => {
  const ignored = readFileSync(".containerignore", "utf8").split("\n");
  for (const name of [".git", "node_modules", "dist", "build", "control/gen"])
    expect(ignored).toContain(name);
});
