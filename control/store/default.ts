import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The store where none is named: below $XDG_STATE_HOME, or else ~/.local/state, whatever the
 * working directory is.
 */
export function defaultStore(env: NodeJS.ProcessEnv = process.env): string {
  // The specification has relative paths ignored.
  const state = env.XDG_STATE_HOME?.startsWith("/")
    ? env.XDG_STATE_HOME
    : join(homedir(), ".local", "state");
  return `lmdb:${join(state, "weir")}`;
}
