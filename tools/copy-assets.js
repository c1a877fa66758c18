// Copies what tsc does not: the page's static files, beside the compiled code that serves them.
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";

cpSync("control/web/static", "dist/control/web/static", { recursive: true });
chmodSync("dist/control/main.js", 0o755);

// npm links the commands of dependencies only. Without this one, npx would take the
// project for a package to install first, and build it before every command.
mkdirSync("node_modules/.bin", { recursive: true });
rmSync("node_modules/.bin/weir", { force: true });
symlinkSync("../../dist/control/main.js", "node_modules/.bin/weir");
