// Generates the TypeScript of Weir's own protos and of the Envoy API into control/gen.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";

rmSync("control/gen", { recursive: true, force: true });
execFileSync("buf", ["generate"], { stdio: "inherit", shell: process.platform === "win32" });
