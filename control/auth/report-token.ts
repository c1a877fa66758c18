import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Principal } from "./principal.ts";

/**
 * Tokens with which a proxy's filters report. A proxy gets its own over xDS,
 * where it has proven who it is; the token says no more than the namespaces.
 */
export interface ReportTokens {
  /** The token of proxies with these namespaces. */
  tokenFor(namespaces: readonly string[]): string;
  /** Undefined when it is not such a token. */
  verify(token: string): Principal | undefined;
}

const prefix = "weir-report";

/** @param secret the same on all replicas, and known to no one else */
export function createReportTokens(secret: Buffer): ReportTokens {
  const key = createHash("sha256").update("weir report tokens\0").update(secret).digest();
  const sign = (scope: string) => createHmac("sha256", key).update(scope).digest();

  return {
    tokenFor(namespaces) {
      const scope = Buffer.from(namespaces.join(",")).toString("base64url");
      return `${prefix}.${scope}.${sign(scope).toString("base64url")}`;
    },
    verify(token) {
      const [kind, scope = "", mac = ""] = token.split(".");
      if (kind !== prefix) return undefined;
      const given = Buffer.from(mac, "base64url");
      const right = sign(scope);
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
      const namespaces = Buffer.from(scope, "base64url").toString().split(",");
      // It speaks for no node: a token out of a configuration opens no stream of its own.
      return { name: "report", grants: [{ role: "proxy", namespaces, nodes: [] }] };
    },
  };
}
