import { stringify } from "yaml";
import { sha256Hex } from "../../control/auth/index.ts";

// Two teams whose proxies do as they should, and two whose do not. No name is part
// of another one or of anything else, so that its bytes tell whose a resource is.

/** Teams in which nothing may hold a write. */
export const quiet = ["quiet-a", "quiet-b"] as const;
/** Teams whose proxies misbehave: only their own changes may be held. */
export const rude = ["rude-c", "rude-d"] as const;
export const namespaces: readonly string[] = [...quiet, ...rude];

/** Who proves what it is with which token. */
export const tokens = {
  people: "people-token",
  edge: "edge-token",
  wide: "wide-token",
  proxy: (namespace: string) => `proxy-token-of-${namespace}`,
  viewer: (namespace: string) => `viewer-token-of-${namespace}`,
};

/** The access file: who may do what. */
export function accessFile(): string {
  const rule = (name: string, token: string, grant: object) => ({
    name,
    sha256: sha256Hex(token),
    ...grant,
  });
  return stringify({
    tokens: [
      rule("people", tokens.people, { role: "admin" }),
      rule("edge", tokens.edge, { role: "proxy", nodes: ["edge-*"] }),
      rule("wide", tokens.wide, { role: "proxy", nodes: ["wide-*"] }),
      ...namespaces.flatMap((name) => [
        rule(`${name} proxies`, tokens.proxy(name), {
          role: "proxy",
          namespaces: [name],
          nodes: [`${name}-*`],
        }),
        rule(`${name} viewer`, tokens.viewer(name), { role: "viewer", namespaces: [name] }),
      ]),
    ],
  });
}

/** The token with which a proxy of this scope comes. */
export const tokenOf = (scope: string) => (scope === "*" ? tokens.wide : tokens.proxy(scope));
