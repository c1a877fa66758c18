import { createHash } from "node:crypto";
import type { Violated } from "./violation.ts";

/**
 * No one sees another's namespace: the bytes of what a proxy or a reader of the
 * API gets name no namespace but its own. Names are chosen so that none is part
 * of another, and of nothing else.
 */
export function createIsolation(namespaces: readonly string[], violated: Violated) {
  const looked = new Map<string, string | undefined>();

  function foreign(scope: readonly string[], bytes: Uint8Array): string | undefined {
    if (scope.includes("*")) return undefined;
    const key = `${scope.join()} ${createHash("sha1").update(bytes).digest("base64")}`;
    if (looked.has(key)) return looked.get(key);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const found = namespaces.find((name) => !scope.includes(name) && text.includes(name));
    if (looked.size > 5_000) looked.clear();
    looked.set(key, found);
    return found;
  }

  return {
    /** @param what the resource or the call that the bytes are of */
    saw(who: string, scope: readonly string[], what: string, bytes: Uint8Array): void {
      const other = foreign(scope, bytes);
      if (other === undefined) return;
      violated({
        invariant: "isolation",
        who: `${who} ${what}`,
        what: `may see ${scope.join(", ")} and was shown ${other}`,
      });
    },
  };
}
