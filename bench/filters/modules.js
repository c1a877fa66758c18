import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { compileFilter } from "../../tools/compile-filter.js";

/** What this makes stays here, so that a second run does not make it again. */
const directory = ".cache/bench";

/**
 * Builds what Weir is measured against: an empty and a bare filter, and the same
 * decisions on the Rust SDK (cargo, with its wasm32-unknown-unknown target) and on
 * @gcoredev/proxy-wasm-sdk-as (npm).
 */
export async function buildModules() {
  const built = {
    empty: join(directory, "empty.wasm"),
    bare: join(directory, "bare.wasm"),
    rust: rustPeer("rust"),
    rustMap: rustPeer("rust-map", "whole-map"),
    gcore: join(directory, "gcore.wasm"),
  };
  const gcore = join(directory, "gcore");
  mkdirSync(gcore, { recursive: true });
  await compileFilter("bench/filters/empty.ts", built.empty);
  await compileFilter("bench/filters/bare.ts", built.bare);
  for (const file of ["package.json", "package-lock.json", "asconfig.json", "index.ts"])
    cpSync(join("bench/peers/gcore", file), join(gcore, file));
  if (!existsSync(join(gcore, "node_modules"))) run("npm", ["ci", "--ignore-scripts"], gcore);
  run("npx", ["asc", "index.ts", "--config", "asconfig.json", "--outFile", "../gcore.wasm"], gcore);
  return built;
}

/** Path of the Rust peer, built with some of its features. @param {string} target @param {...string} features */
function rustPeer(target, ...features) {
  run("cargo", [
    ...["build", "--release", "--quiet", "--locked", "--target", "wasm32-unknown-unknown"],
    ...["--manifest-path", "bench/peers/rust/Cargo.toml", "--target-dir", join(directory, target)],
    ...["--features", features.join(",")],
  ]);
  return join(directory, target, "wasm32-unknown-unknown/release/weir_peer.wasm");
}

/** @param {string} command @param {string[]} args @param {string} [cwd] */
function run(command, args, cwd = ".") {
  try {
    execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    throw new Error(`${command} ${args[0]} failed: ${/** @type {Error} */ (error).message}`);
  }
}
