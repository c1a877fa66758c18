// Copies what tsc does not: the page's static files, beside the compiled code that serves them.
import { chmodSync, cpSync } from "node:fs";

cpSync("control/web/static", "dist/control/web/static", { recursive: true });
chmodSync("dist/control/main.js", 0o755);
