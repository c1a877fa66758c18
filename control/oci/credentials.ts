import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * "user:password" for a registry, base64, as `docker login` or `podman login`
 * left it; undefined when there is none.
 */
export function storedCredentials(registry: string): string | undefined {
  const files = [
    process.env.REGISTRY_AUTH_FILE,
    join(process.env.DOCKER_CONFIG ?? join(homedir(), ".docker"), "config.json"),
  ];
  for (const file of files) {
    if (file === undefined || !existsSync(file)) continue;
    const { auths } = JSON.parse(readFileSync(file, "utf8")) as {
      auths?: Record<string, { auth?: string }>;
    };
    const auth = auths?.[registry]?.auth ?? auths?.[`https://${registry}`]?.auth;
    if (auth) return auth;
  }
  return undefined;
}
