import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A directory whose files change all at once, as Kubernetes mounts a secret. */
export interface MountedSecret {
  path(name: string): string;
  /** Puts copies of these files, by their names in the directory, in the place of those that are there. */
  put(files: Record<string, string>): void;
  remove(): void;
}

/** Mounts these files: each is a link into "..data", which is a link to the directory of one state. */
export function mountSecret(files: Record<string, string>): MountedSecret {
  const directory = mkdtempSync(join(tmpdir(), "weir-mounted-"));
  let states = 0;
  const put = (put: Record<string, string>): void => {
    const state = `..state-${++states}`;
    mkdirSync(join(directory, state));
    for (const [name, from] of Object.entries(put))
      copyFileSync(from, join(directory, state, name));
    symlinkSync(state, join(directory, "..data_new"));
    renameSync(join(directory, "..data_new"), join(directory, "..data"));
  };
  put(files);
  for (const name of Object.keys(files)) symlinkSync(`..data/${name}`, join(directory, name));
  return {
    path: (name) => join(directory, name),
    put,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
