import { spawnSync } from "node:child_process";

/** A developer without Prometheus may go without it; the continuous build may not. */
export const mayGoWithoutPrometheus =
  process.env.CI === undefined && spawnSync("promtool", ["--version"]).error !== undefined;

if (mayGoWithoutPrometheus)
  console.warn(
    "promtool is not installed: what Prometheus says is skipped (apt install prometheus)",
  );
