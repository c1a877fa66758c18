// tsc adds to what is there: without this, a module that was deleted would go on in the package.
import { rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
