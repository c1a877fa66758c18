import { readFileSync } from "node:fs";
import { fuzz } from "./fuzz.ts";

const built = Object.keys(JSON.parse(readFileSync("build/filters.json", "utf8")) as object);
fuzz(
  built.filter((name) => name !== "weir"),
  0.5,
);
