import { execFileSync } from "node:child_process";

/**
 * A Python with these packages, see tools/python-with.js.
 * @param packages with their versions, as pip reads them
 * @param said is what pip says: nothing, or its progress
 */
export function pythonWith(
  name: string,
  packages: readonly string[],
  said: "nothing" | "progress" = "nothing",
): string {
  const options = said === "progress" ? ["--progress"] : [];
  const script = "tools/python-with.js";
  const stdio = ["ignore", "pipe", "inherit"] as const;
  const out = execFileSync(process.execPath, [script, ...options, name, ...packages], {
    stdio: [...stdio],
  });
  return out.toString().trim();
}
